package takeover

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// Value is a setting as it stands in openfire.xml or in ofProperty.
type Value struct {
	Text      string
	Encrypted bool // Openfire's own form, which its key alone opens
}

// Document is an openfire.xml.
type Document struct {
	values map[string]Value // by Openfire's names: database.defaultProvider.driver
	names  []string         // in their order
	twice  map[string]bool  // settings of which a later one says something too
}

const (
	maxDocument = 1 << 20 // an openfire.xml has a few KiB
	maxDepth    = 32
)

// Read takes an openfire.xml apart as Openfire does: names are the elements' joined by dots, of two elements of a name the first
// counts, runs of ASCII blanks are one blank. The text of an error stands behind the file's name, and has nothing of the file.
func Read(from io.Reader) (*Document, error) {
	data, err := io.ReadAll(io.LimitReader(from, maxDocument+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxDocument:
		return nil, fmt.Errorf("is larger than %d bytes: it is no openfire.xml", maxDocument)
	}
	text, err := decoded(data)
	if err != nil {
		return nil, err
	}
	dec := xml.NewDecoder(bytes.NewReader(text))
	dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // it is UTF-8 now
	d := &Document{values: map[string]Value{}, twice: map[string]bool{}}
	err = d.read(dec)
	var wrong *xml.SyntaxError
	switch {
	case errors.As(err, &wrong) && wrong.Msg == "unexpected EOF":
		return nil, fmt.Errorf("ends too early, in line %d: the file is cut off, or an element is not closed", wrong.Line)
	case errors.As(err, &wrong): // its text can quote a password
		return nil, fmt.Errorf(`is no XML in or near line %d: between elements "&" is written &amp; and "<" is written &lt;, and each <name> ends with its </name>`, wrong.Line)
	case err != nil:
		return nil, err
	}
	return d, nil
}

// declared is the character set that the first line of an XML names.
var declared = regexp.MustCompile(`^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']`)

// decoded is a file's text in UTF-8.
func decoded(data []byte) ([]byte, error) {
	wide := func(order unicode.Endianness) ([]byte, error) {
		text, err := unicode.UTF16(order, unicode.ExpectBOM).NewDecoder().Bytes(data)
		if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
			return nil, errors.New("is UTF-16 with half a character in it: save it as UTF-8")
		}
		return text, nil
	}
	head := data[:min(len(data), 4)]
	zeros := bytes.Count(head, []byte{0})
	switch {
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}), bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return nil, errors.New("is a compressed file: unpack it")
	case bytes.Equal(head, []byte{0xff, 0xfe, 0, 0}), bytes.Equal(head, []byte{0, 0, 0xfe, 0xff}), zeros == 3 && (head[0] == '<' || head[3] == '<'):
		return nil, errors.New("is UTF-32: save it as UTF-8")
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return wide(unicode.LittleEndian)
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return wide(unicode.BigEndian)
	case zeros == 2 && (head[0] == '<' && head[1] == 0 || head[0] == 0 && head[1] == '<'):
		return nil, errors.New("is UTF-16 without a byte order mark: save it as UTF-8")
	case bytes.IndexByte(data, 0) >= 0:
		return nil, errors.New("is no text, it has NUL bytes: it is no openfire.xml")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	charset := ""
	if m := declared.FindSubmatch(data); m != nil {
		charset = strings.ToLower(string(m[1]))
	}
	valid := utf8.Valid(data)
	switch charset {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		if !valid {
			return nil, fmt.Errorf(`has bytes that are no UTF-8 in line %d: save it as UTF-8; where it is GBK, encoding="GBK" in its first line will do`, badLine(data))
		}
		return data, nil
	case "gbk", "gb2312", "gb18030":
		text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(data)
		if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
			return nil, fmt.Errorf("has bytes that are not of the character set in its first line, %s: save it as UTF-8, and write that there", charset)
		}
		return text, nil
	case "utf-16", "utf-16le", "utf-16be", "utf16", "utf-32":
		return nil, errors.New(`names UTF-16 or UTF-32 in its first line, and is not: write encoding="UTF-8" there`)
	}
	return nil, errors.New(`is in a character set that is not taken: save it as UTF-8, and write encoding="UTF-8" in its first line`)
}

// badLine is the line of the first byte that is no UTF-8.
func badLine(data []byte) int {
	at := 0
	for at < len(data) {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return 1 + bytes.Count(data[:at], []byte("\n"))
}

// trimmed is a text as Openfire takes it: runs of ASCII blanks are one blank. Others are part of a password.
func trimmed(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n\f", r) }), " ")
}

// element is one that is open.
type element struct {
	name      string
	encrypted bool
	text      strings.Builder
	parent    bool // it has elements
	seen      map[string]bool
	first     bool // no element of its name was before it
}

func (d *Document) read(dec *xml.Decoder) error {
	var open []*element
	rooted := false
	for {
		token, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF) && !rooted:
			return errors.New("is empty or no XML: it is no openfire.xml")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		switch token := token.(type) {
		case xml.Directive:
			return errors.New("has a <!…> declaration, which no openfire.xml has: remove it")
		case xml.StartElement:
			e := &element{name: token.Name.Local, seen: map[string]bool{}, first: true}
			for _, a := range token.Attr {
				e.encrypted = e.encrypted || a.Name.Local == "encrypted" && !strings.EqualFold(a.Value, "false")
			}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.parent = true
				e.first = parent.first && !parent.seen[e.name]
				parent.seen[e.name] = true
			case rooted:
				return behindRoot(dec)
			case e.name != "jive":
				return errors.New("is XML of something else: the root of an openfire.xml is <jive>")
			}
			rooted = true
			if open = append(open, e); len(open) > maxDepth {
				return fmt.Errorf("has more than %d elements inside each other: it is no openfire.xml", maxDepth)
			}
		case xml.CharData:
			switch {
			case len(open) > 0:
				open[len(open)-1].text.Write(token)
			case rooted && trimmed(string(token)) != "":
				return behindRoot(dec)
			}
		case xml.EndElement:
			e := open[len(open)-1]
			open = open[:len(open)-1]
			text := trimmed(e.text.String())
			if len(open) == 0 || text == "" && e.parent {
				continue
			}
			path := e.name
			for i := len(open) - 1; i > 0; i-- {
				path = open[i].name + "." + path
			}
			switch {
			case !e.first:
				d.twice[path] = d.twice[path] || text != ""
			case e.parent && readHere(path):
				line, _ := dec.InputPos()
				return fmt.Errorf(`has an element within the text of a setting, in or near line %d: in a text "<" is written &lt;`, line)
			default:
				d.values[path] = Value{text, e.encrypted}
				d.names = append(d.names, path)
			}
		}
	}
}

func behindRoot(dec *xml.Decoder) error {
	line, _ := dec.InputPos()
	return fmt.Errorf("has something behind </jive>, in or near line %d: an openfire.xml ends there, remove the rest", line)
}

// readHere says whether a setting is one that is read, and not only Openfire's.
func readHere(name string) bool {
	return name == "connectionProvider.className" || slices.ContainsFunc([]string{"database.", "tlim.", "xmpp."}, func(at string) bool { return strings.HasPrefix(name, at) })
}

// value is the first setting of these names that says something.
func (d *Document) value(names ...string) Value {
	for _, name := range names {
		if v := d.values[name]; v.Text != "" {
			return v
		}
	}
	return Value{}
}
