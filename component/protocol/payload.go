package protocol

import (
	"strings"

	"github.com/tidwall/gjson"

	"tlim/component/lenient"
	"tlim/component/stanza"
	"tlim/store"
)

// NewEnvelope writes the envelope of a message that the server itself originates. asArray sends the body as a real array
// instead of the string that shipped clients expect.
func NewEnvelope(kind, msgID, from, to, msgTime, body string, asArray bool) string {
	m := store.Message{MsgID: msgID, Type: kind, From: from, To: to, Time: msgTime, Body: body}
	return writeEnvelope(m, "0", "0", "2.0.0", asArray)
}

// Rebuild makes an envelope for a stored message whose own text is gone: when it is delivered again after a crash.
func Rebuild(m store.Message, asArray bool) string {
	compress, encrypt, version := "0", "0", "2.0.0"
	if flags := strings.SplitN(m.Flags, ",", 3); len(flags) == 3 {
		compress, encrypt, version = flags[0], flags[1], flags[2]
	}
	asArray = asArray && compress == "0" && encrypt == "0" && stanza.ValidXML(m.Body) && gjson.Valid(m.Body)
	return writeEnvelope(m, compress, encrypt, version, asArray)
}

// writeEnvelope writes the envelope of a stored message. asArray makes its body a real array instead of the string that shipped clients expect.
func writeEnvelope(m store.Message, compress, encrypt, version string, asArray bool) string {
	b := make([]byte, 0, len(m.Body)+len(m.Body)/8+240)
	b = append(b, `{"body":`...)
	if asArray {
		b = append(b, m.Body...)
	} else {
		b = lenient.AppendString(b, m.Body)
	}
	for _, f := range [...][2]string{
		{"compress", compress}, {"encode", "1"}, {"encrypt", encrypt}, {"msg_from", m.From}, {"msg_id", m.MsgID}, {"msg_time", m.Time},
		{"msg_to", m.To}, {"msg_type", m.Type}, {"version", version},
	} {
		b = append(b, ',', '"')
		b = append(b, f[0]...)
		b = append(b, '"', ':')
		b = lenient.AppendString(b, f[1])
	}
	return string(append(b, '}'))
}

// Payload renders what is inside a copy: exactly the body, the tlim extension, the subject of an ASYNC copy, a hint
// that keeps the server from storing it a second time.
func Payload(text string, ext []byte, async bool) []byte {
	b := make([]byte, 0, len(text)+len(text)/8+len(ext)+160)
	b = append(b, "<body>"...)
	b = stanza.AppendEscaped(b, text)
	b = append(b, "</body>"...)
	b = append(b, ext...)
	if async {
		b = append(b, "<subject>ASYNC</subject>"...)
	}
	return append(b, `<no-store xmlns="urn:xmpp:hints"/>`...)
}
