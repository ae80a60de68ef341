// The JWT libraries of Node as contestants of `python -m bench`: it reads one JSON command a line from standard input
// and answers each with one line. Times are microseconds from a call to its result, one for every token, in order.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { createInterface } from 'node:readline';
import process from 'node:process';

import { createSigner, createVerifier } from 'fast-jwt';
import { importPKCS8, importSPKI, jwtVerify, SignJWT } from 'jose';
import jsonwebtoken from 'jsonwebtoken';

const REQUIRED = ['iss', 'aud', 'exp', 'iat'];

// All that may be done in advance is: keys are imported, options are made once.
const LIBRARIES = {
  jose: {
    async verify({ alg, keys, issuer, audience, typ }) {
      const key = keys.secret ?? await importSPKI(keys.public, alg);
      const options = { algorithms: [alg], issuer, audience, typ, requiredClaims: REQUIRED };
      return (token) => jwtVerify(token, key, options);
    },
    async sign({ alg, keys, kid, typ }) {
      const key = keys.secret ?? await importPKCS8(keys.private, alg);
      return (claims) => new SignJWT(claims).setProtectedHeader({ alg, kid, typ }).sign(key);
    },
  },
  'fast-jwt': {
    verify({ alg, keys, issuer, audience, typ }) {
      const key = keys.secret ?? keys.public;
      return createVerifier({
        key,
        algorithms: [alg],
        allowedIss: issuer,
        allowedAud: audience,
        checkTyp: typ,
        requiredClaims: REQUIRED,
        cache: false,
      });
    },
    sign({ alg, keys, kid, typ }) {
      const key = keys.secret ?? keys.private;
      return createSigner({ key, algorithm: alg, kid, header: { typ } });
    },
  },
  jsonwebtoken: {
    verify({ alg, keys, issuer, audience }) {
      const key = keys.secret ?? createPublicKey(keys.public);
      const options = { algorithms: [alg], issuer, audience };
      return (token) => {
        const claims = jsonwebtoken.verify(token, key, options);
        // It checks these where they are, and lets them be absent.
        if (claims.exp === undefined || claims.iat === undefined) throw new Error('exp and iat are required');
        return claims;
      };
    },
    sign({ alg, keys, kid, typ }) {
      const key = keys.secret ?? createPrivateKey(keys.private);
      const options = { algorithm: alg, keyid: kid, header: { typ } };
      return (claims) => jsonwebtoken.sign(claims, key, options);
    },
  },
};

let work = {};

const COMMANDS = {
  // One contest: an algorithm, what to do with it, and what every turn is given (tokens to verify, claims to sign).
  async prepare({ operation, given, ...contest }) {
    const { secret } = contest.keys;
    const keys = { ...contest.keys, ...(secret && { secret: Buffer.from(secret, 'base64') }) };
    work = { given };
    for (const name of contest.libraries) {
      work[name] = await LIBRARIES[name][operation]({ ...contest, keys });
    }
    return {};
  },
  async warm({ library, milliseconds }) {
    const until = performance.now() + milliseconds;
    while (performance.now() < until) await turn(work[library]);
    return {};
  },
  async turn({ library }) {
    return { times: await turn(work[library]) };
  },
  // What it makes of one token, or one set of claims: outside of the measurement.
  async try({ library, one }) {
    try {
      const result = await work[library](one);
      return { result: typeof result === 'string' ? result : 'accepted' };
    } catch (error) {
      return { refused: String(error) };
    }
  },
  versions: () => ({ node: process.version }),
};

async function turn(call) {
  const times = new Array(work.given.length);
  for (let index = 0; index < times.length; index += 1) {
    const one = work.given[index];
    const began = performance.now();
    const result = call(one);
    if (result instanceof Promise) await result;
    times[index] = (performance.now() - began) * 1000;
  }
  return times;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  const answer = await COMMANDS[command](rest);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
