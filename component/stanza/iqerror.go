package stanza

import "fmt"

// AppendError renders the error element of an answer: the type (auth, cancel, modify or wait), the defined condition, and what may stand behind it.
func AppendError(b []byte, typ, condition string, more ...string) []byte {
	b = append(b, `<error type="`...)
	b = append(b, typ...)
	b = append(b, `"><`...)
	b = append(b, condition...)
	b = append(b, ` xmlns="`+nsStanzaErrors+`"/>`...)
	for _, element := range more {
		b = append(b, element...)
	}
	return append(b, `</error>`...)
}

// nsStanzaErrors is the namespace of the defined conditions (RFC 6120 section 8.3).
const nsStanzaErrors = "urn:ietf:params:xml:ns:xmpp-stanzas"

// IQError is the answer of type error to a question.
type IQError struct {
	Condition string // the defined condition, e.g. "item-not-found"; "" when the answer has none
	Type      string // auth, cancel, continue, modify or wait
	Text      string // what the server says to it; may be empty
}

// Error names condition and text.
func (i *IQError) Error() string {
	condition := i.Condition
	if condition == "" {
		condition = "no condition"
	}
	if i.Text == "" {
		return fmt.Sprintf("error answer: %s (%s)", condition, i.Type)
	}
	return fmt.Sprintf("error answer: %s (%s): %s", condition, i.Type, i.Text)
}

// ErrorOf reads the error of a stanza of type error.
func ErrorOf(st *Stanza) *IQError {
	e := &IQError{}
	for c := range st.Children() {
		if c.Name != "error" {
			continue
		}
		e.Type = c.Attr("type")
		for d := range c.Children() {
			switch {
			case d.Space != nsStanzaErrors:
			case d.Name == "text":
				e.Text = d.Text()
			default:
				e.Condition = d.Name
			}
		}
		break
	}
	return e
}

// AppendIQ appends an iq; its payload is XML.
func AppendIQ(b []byte, typ, id, from, to string, payload []byte) []byte {
	b = append(b, `<iq type="`...)
	b = append(b, typ...)
	b = append(b, `" id="`...)
	b = AppendAttr(b, id)
	b = append(b, `" from="`...)
	b = AppendAttr(b, from)
	b = append(b, `" to="`...)
	b = AppendAttr(b, to)
	if len(payload) == 0 {
		return append(b, `"/>`...)
	}
	b = append(b, `">`...)
	b = append(b, payload...)
	return append(b, `</iq>`...)
}
