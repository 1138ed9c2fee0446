// Package stanza holds what an XMPP stream is made of: stanzas cut out of it by bytes, their children, addresses, and the
// escaping of what is written into it.
//
// Nothing here decodes a live stream with encoding/xml: any client could end it with one odd stanza, and it costs twenty
// times as much. The [Framer] cuts elements; a stanza's content is looked at only in the slice that was cut out, so what is
// wrong inside concerns that stanza alone. The server on the other side parses everything it forwards, so bytes that are
// not well-formed do not arrive in practice; here they never panic and never reach beyond their element.
package stanza
