package lab

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Escape returns text as XML character data, fit for attribute values in either quotes too. What XML 1.0 forbids stays as it is:
// tests want to send it.
func Escape(text string) string { return escaper.Replace(text) }

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;")

// unescape replaces the entities and character references of XML.
func unescape(b []byte) string {
	i := bytes.IndexByte(b, '&')
	if i < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i >= 0 {
		out = append(out, b[:i]...)
		b = b[i:]
		end := bytes.IndexByte(b, ';')
		if end < 0 {
			break
		}
		switch name := string(b[1:end]); name {
		case "lt":
			out = append(out, '<')
		case "gt":
			out = append(out, '>')
		case "amp":
			out = append(out, '&')
		case "quot":
			out = append(out, '"')
		case "apos":
			out = append(out, '\'')
		default:
			out = append(out, reference(name)...)
		}
		b = b[end+1:]
		i = bytes.IndexByte(b, '&')
	}
	return string(append(out, b...))
}

// reference resolves "#65" or "#x41"; what is none comes back as it was.
func reference(name string) string {
	digits, base := strings.TrimPrefix(name, "#"), 10
	if strings.HasPrefix(digits, "x") {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseInt(digits, base, 32)
	if err != nil || !strings.HasPrefix(name, "#") || !utf8.ValidRune(rune(n)) {
		return "&" + name + ";"
	}
	return string(rune(n))
}

// name returns the local name of the element.
func name(element []byte) string {
	end := 1
	for end < len(element) && !isSpace(element[end]) && element[end] != '>' && element[end] != '/' {
		end++
	}
	full := element[1:end]
	return string(full[bytes.IndexByte(full, ':')+1:])
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// attribute returns the value of an attribute of the element's first tag, "" when it has none.
func attribute(element []byte, attr string) string {
	for i := 1; i < len(element) && element[i] != '>'; i++ {
		if !isSpace(element[i]) {
			continue
		}
		rest := bytes.TrimLeft(element[i:], " \t\r\n")
		eq := bytes.IndexAny(rest, "=>")
		if eq < 0 || rest[eq] == '>' {
			return ""
		}
		value := bytes.TrimLeft(rest[eq+1:], " \t\r\n")
		if len(value) < 2 {
			return ""
		}
		end := bytes.IndexByte(value[1:], value[0])
		if end < 0 {
			return ""
		}
		if string(bytes.TrimRight(rest[:eq], " \t\r\n")) == attr {
			return unescape(value[1 : 1+end])
		}
		i = len(element) - len(value) + end + 1
	}
	return ""
}

// inner returns what is between the element's first and last tag.
func inner(element []byte) []byte {
	n, kind, err := markup(element)
	if err != nil || n == 0 || kind != openTag {
		return nil
	}
	last := bytes.LastIndex(element, []byte("</"))
	if last < n {
		return nil
	}
	return element[n:last]
}

// children calls each with the elements directly inside the element, until it says false.
func children(element []byte, each func(name, namespace string, child []byte) bool) {
	b := inner(element)
	outer := attribute(element, "xmlns")
	for {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			return
		}
		b = b[i:]
		n := length(b)
		if n == 0 {
			return
		}
		child := b[:n]
		b = b[n:]
		if child[1] == '!' || child[1] == '?' || child[1] == '/' {
			continue
		}
		namespace := attribute(child, "xmlns")
		if namespace == "" {
			namespace = outer
		}
		if !each(name(child), namespace, child) {
			return
		}
	}
}

// length returns the length of the element (or comment ...) at the start of b, 0 when it is not whole.
func length(b []byte) int {
	at, depth := 0, 0
	for {
		i := bytes.IndexByte(b[at:], '<')
		if i < 0 {
			return 0
		}
		at += i
		n, kind, err := markup(b[at:])
		if n == 0 || err != nil {
			return 0
		}
		at += n
		switch kind {
		case openTag:
			depth++
		case endTag:
			depth--
		}
		if depth <= 0 {
			return at
		}
	}
}

// child returns the first element of that name directly inside; an empty namespace means any.
func child(element []byte, wanted, namespace string) []byte {
	var found []byte
	children(element, func(name, ns string, c []byte) bool {
		if name == wanted && (namespace == "" || ns == namespace) {
			found = c
		}
		return found == nil
	})
	return found
}

// text returns the character data of an element, CDATA included, without what is in elements inside it.
func text(element []byte) string {
	b := inner(element)
	if bytes.IndexByte(b, '<') < 0 {
		return unescape(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			i = len(b)
		}
		out.WriteString(unescape(b[:i]))
		b = b[i:]
		if data, found := bytes.CutPrefix(b, []byte("<![CDATA[")); found {
			end := bytes.Index(data, []byte("]]>"))
			if end < 0 {
				break
			}
			out.Write(data[:end])
			b = data[end+3:]
			continue
		}
		n := length(b)
		if n == 0 {
			break
		}
		b = b[n:]
	}
	return out.String()
}
