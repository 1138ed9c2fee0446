// Package httpapi is the HTTP API of tlim, below /plugins/tlim/.
//
// A call goes through one pipeline (pipeline.go): cross-origin headers, decoding with limits, who is calling, whether
// that caller may call this endpoint (routes.go is the table), then the endpoint's handler. What changes a conversation
// is done by a [Service], plain reads come from [Reads].
//
// It guarantees three things.
//
//   - "ok" is said only when the work was done and committed.
//   - Every answer, failures included, is one JSON object with its keys in alphabetical order (findPresence, which always
//     answered a bare array, excepted).
//   - Bodies, keys and secrets are never logged, and no answer tells more of a fault than one sentence.
package httpapi
