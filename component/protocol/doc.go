// Package protocol is the language of the product's messages (PROTOCOL.md): the JSON envelope with its limits, the error codes with their stanzas,
// the ids of users, conversations and rows, and the text of times. It reads and writes values and knows no database, no connection and no kind of
// message: what reading an envelope depends on comes in as [Rules].
//
// Whatever [ParseEnvelope] returns reads the same to a JavaScript client as it does here.
package protocol
