package httpapi

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// looseBoundary finds what [mime.ParseMediaType] refuses: old clients write a boundary with signs like = or / in it without
// quotes.
var looseBoundary = regexp.MustCompile(`(?i)^[ \t]*multipart/(?:form-data|mixed)[ \t]*;(?:.*;)?[ \t]*boundary[ \t]*=[ \t]*(?:"([^"]*)"|([^;]*))`)

// maxBoundary is far above the 70 characters that RFC 2046 allows.
const maxBoundary = 200

// boundary is what parts a multipart body; "" when the body is none.
func boundary(contentType string) string {
	media, params, err := mime.ParseMediaType(contentType)
	found := params["boundary"]
	switch {
	case err == nil && media != "multipart/form-data" && media != "multipart/mixed":
		return ""
	case err != nil || found == "":
		if m := looseBoundary.FindStringSubmatch(contentType); m != nil {
			found = m[1] + strings.TrimSpace(m[2])
		}
	}
	if len(found) > maxBoundary {
		return ""
	}
	return found
}

// looseNames finds what [mime.ParseMediaType] refuses: simple clients put a name with quotes in it between quotes.
var looseNames = regexp.MustCompile(`(?i)[; ]name="?([^";]*)"?.*?; *filename="?(.*?)"? *$`)

// extendedName finds a name of RFC 5987 in a character set that [mime.ParseMediaType] does not know.
var extendedName = regexp.MustCompile(`(?i)[; ]filename\*[ \t]*=[ \t]*"?([A-Za-z0-9_-]+)'[^']*'([^;" ]*)`)

// partNames are the name of a part, and that of its file when it is one.
func partNames(part *multipart.Part) (field, file string) {
	raw := fromGBK(part.Header.Get("Content-Disposition"))
	if _, params, err := mime.ParseMediaType(raw); err == nil {
		field, file = params["name"], params["filename"]
	} else if m := looseNames.FindStringSubmatch(raw); m != nil {
		field, file = m[1], m[2]
	}
	if m := extendedName.FindStringSubmatch(raw); m != nil && charsetOf(";charset="+m[1]) == otherCharset {
		if text, err := io.ReadAll(decoded(m[1], strings.NewReader(unescape(strings.ReplaceAll(m[2], "+", "%2B"))))); err == nil {
			file = string(text)
		}
	}
	if strings.Contains(file, "=?") { // RFC 2047, which is for mail, but Java's mail classes write forms as well
		if text, err := mailWords.DecodeHeader(file); err == nil {
			file = text
		}
	}
	return field, file
}

// mailWords decodes =?charset?B?…?= and =?charset?Q?…?=.
var mailWords = mime.WordDecoder{CharsetReader: func(charset string, in io.Reader) (io.Reader, error) { return decoded(charset, in), nil }}

// decoded is a text in UTF-8. Of a character set that we do not know ASCII stays, so that a name keeps its ending.
func decoded(charset string, in io.Reader) io.Reader {
	switch lower(charset) {
	case "gbk", "gb2312", "gb18030", "cp936", "ms936", "x-gbk", "euc-cn":
		return simplifiedchinese.GB18030.NewDecoder().Reader(in) // the others are parts of it
	}
	return asciiOf{in}
}

// asciiOf reads _ for every byte that is no ASCII.
type asciiOf struct{ io.Reader }

// Read reads on.
func (a asciiOf) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	for i, c := range p[:n] {
		if c >= utf8.RuneSelf {
			p[i] = '_'
		}
	}
	return n, err
}

// fromGBK is a head field in UTF-8: clients on Chinese Windows send its bytes as their system has them. Decoding comes before
// reading, because the second byte of a character can be a backslash. What is neither stays as it is.
func fromGBK(field string) string {
	if utf8.ValidString(field) {
		return field
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes([]byte(field))
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return field
	}
	return string(text)
}
