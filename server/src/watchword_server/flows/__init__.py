"""The stories: load, ask a pure rule, save. One file a story; every act is audited in its own transaction."""
