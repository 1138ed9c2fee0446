package takeover

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
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
}

const (
	maxDocument = 1 << 20 // an openfire.xml has a few KiB
	maxDepth    = 32
)

// Read takes an openfire.xml apart as Openfire does: names are the elements' joined by dots, of two elements of a name the first
// counts, runs of blanks are one blank. The text of an error stands behind the file's name, and has nothing of the file.
func Read(from io.Reader) (*Document, error) {
	data, err := io.ReadAll(io.LimitReader(from, maxDocument+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxDocument:
		return nil, fmt.Errorf("is larger than %d bytes: it is no openfire.xml", maxDocument)
	}
	dec := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	foreign := false
	dec.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		switch strings.ToLower(charset) {
		case "gbk", "gb2312", "gb18030":
			return simplifiedchinese.GB18030.NewDecoder().Reader(in), nil
		case "us-ascii", "ascii":
			return in, nil
		}
		foreign = true
		return nil, errors.New("another character set")
	}
	d := &Document{values: map[string]Value{}}
	err = d.read(dec)
	var wrong *xml.SyntaxError
	switch {
	case foreign:
		return nil, errors.New("is in a character set that is not taken: save it as UTF-8")
	case errors.As(err, &wrong): // its text can quote a password
		return nil, fmt.Errorf(`is no XML in or near line %d: between elements "&" is written &amp; and "<" is written &lt;`, wrong.Line)
	case err != nil:
		return nil, err
	}
	return d, nil
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
			case rooted || e.name != "jive":
				return errors.New("is XML of something else: the root of an openfire.xml is <jive>")
			}
			rooted = true
			if open = append(open, e); len(open) > maxDepth {
				return fmt.Errorf("has more than %d elements inside each other: it is no openfire.xml", maxDepth)
			}
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text.Write(token)
			}
		case xml.EndElement:
			e := open[len(open)-1]
			if text := strings.Join(strings.Fields(e.text.String()), " "); e.first && len(open) > 1 && (text != "" || !e.parent) {
				if !utf8.ValidString(text) {
					return errors.New("has bytes that are no UTF-8: save it as UTF-8")
				}
				var path []string
				for _, o := range open[1:] {
					path = append(path, o.name)
				}
				name := strings.Join(path, ".")
				d.values[name] = Value{text, e.encrypted}
				d.names = append(d.names, name)
			}
			open = open[:len(open)-1]
		}
	}
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
