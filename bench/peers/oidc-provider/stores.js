// Where the peer of the codes benchmark keeps its models: one row for each, as the adapters do that people write for it.
// Durable on both databases: no call returns before its own transaction is on disk.
import { DatabaseSync } from 'node:sqlite';

import pg from 'pg';

const TABLE = `CREATE TABLE payloads (
  kind TEXT NOT NULL, id TEXT NOT NULL, payload TEXT NOT NULL, grant_id TEXT, uid TEXT, expires_at BIGINT, consumed BIGINT,
  PRIMARY KEY (kind, id)
)`;
const INDEXES = [
  'CREATE INDEX payloads_grant ON payloads (grant_id)',
  'CREATE UNIQUE INDEX payloads_uid ON payloads (uid) WHERE uid IS NOT NULL',
];
const FIND = 'SELECT payload, consumed FROM payloads WHERE kind = $1 AND id = $2';
const FIND_UID = 'SELECT payload, consumed FROM payloads WHERE uid = $1';
const KEEP = `INSERT INTO payloads (kind, id, payload, grant_id, uid, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
  ON CONFLICT (kind, id) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at`;
const CONSUME = 'UPDATE payloads SET consumed = $3 WHERE kind = $1 AND id = $2';
const DESTROY = 'DELETE FROM payloads WHERE kind = $1 AND id = $2';
const REVOKE = 'DELETE FROM payloads WHERE grant_id = $1';
const STATEMENTS = [FIND, FIND_UID, KEEP, CONSUME, DESTROY, REVOKE];

const now = () => Math.floor(Date.now() / 1000);

function whole(row) {
  if (row === undefined) return undefined;
  const payload = JSON.parse(row.payload);
  return row.consumed === null ? payload : { ...payload, consumed: Number(row.consumed) };
}

// `ask` answers with the rows of a statement, or a promise of them.
function adapter(ask) {
  return (kind) => ({
    find: async (id) => whole((await ask(FIND, [kind, id]))[0]),
    findByUid: async (uid) => whole((await ask(FIND_UID, [uid]))[0]),
    upsert: async (id, payload, expiresIn) => {
      const uid = kind === 'Session' ? payload.uid : null;
      await ask(KEEP, [kind, id, JSON.stringify(payload), payload.grantId ?? null, uid, now() + expiresIn]);
    },
    consume: async (id) => { await ask(CONSUME, [kind, id, now()]); },
    destroy: async (id) => { await ask(DESTROY, [kind, id]); },
    revokeByGrantId: async (grantId) => { await ask(REVOKE, [grantId]); },
  });
}

// In the same process, as ours is: no call leaves it.
export function sqlite(path) {
  const database = new DatabaseSync(path);
  for (const setting of ['journal_mode = WAL', 'synchronous = FULL', 'wal_autocheckpoint = 2000']) database.exec(`PRAGMA ${setting}`);
  [TABLE, ...INDEXES].forEach((sql) => database.exec(sql));
  // `$1` would be a name there.
  const prepared = new Map(STATEMENTS.map((sql) => [sql, database.prepare(sql.replaceAll('$', '?'))]));
  return adapter((sql, values) => (sql.startsWith('SELECT') ? prepared.get(sql).all(...values) : prepared.get(sql).run(...values)));
}

// `synchronous_commit` is on at the server.
export async function postgres(url) {
  const pool = new pg.Pool({ connectionString: url, max: 16 });
  for (const sql of [TABLE, ...INDEXES]) await pool.query(sql);
  const names = new Map(STATEMENTS.map((sql, number) => [sql, `s${number}`]));
  return adapter(async (sql, values) => (await pool.query({ name: names.get(sql), text: sql, values })).rows);
}

// The provider's own memory adapter forgets all but the last thousand models, so what it would do, in a Map.
export function memory() {
  const models = new Map();
  const uids = new Map();
  return (kind) => ({
    find: async (id) => models.get(`${kind}:${id}`),
    findByUid: async (uid) => models.get(`${kind}:${uids.get(uid)}`),
    upsert: async (id, payload) => {
      models.set(`${kind}:${id}`, payload);
      if (kind === 'Session') uids.set(payload.uid, id);
    },
    consume: async (id) => { models.get(`${kind}:${id}`).consumed = now(); },
    destroy: async (id) => { models.delete(`${kind}:${id}`); },
    revokeByGrantId: async (grantId) => {
      for (const [key, payload] of models) if (payload.grantId === grantId) models.delete(key);
    },
  });
}
