package config

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// This file reads texts as editors leave them: with a byte order mark, in UTF-16, with the line ends of Windows, in GBK.

// notUTF8 is what is wrong with a value of the environment or the command line; a file is told the place.
const notUTF8 = "holds bytes that are no UTF-8, as GBK text has them: write it in UTF-8"

const byteOrderMark = "\ufeff"

// decodeText returns a file's text in UTF-8 without its byte order mark. UTF-16 with a mark is taken. The error begins with line
// and column, and says what stands there and what to do.
func decodeText(data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		return fromUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return fromUTF16(data[2:], binary.BigEndian)
	}
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	if len(data) >= 4 && (data[0] == 0) != (data[1] == 0) && (data[2] == 0) != (data[3] == 0) {
		return nil, errors.New("1:1: the file is UTF-16 without a byte order mark: save it as UTF-8")
	}
	for at, r := range string(data) {
		size := 0
		if r == utf8.RuneError {
			_, size = utf8.DecodeRune(data[at:])
		}
		switch {
		case size == 1:
			return nil, fmt.Errorf("%s: %s is no UTF-8: save the file as UTF-8", place(data, at), foreign(data[at:]))
		case unicode.IsControl(r) && !strings.ContainsRune("\t\r\n\u0085", r):
			return nil, fmt.Errorf("%s: a control character (U+%04X): remove it", place(data, at), r)
		}
	}
	return data, nil
}

func fromUTF16(data []byte, order binary.ByteOrder) ([]byte, error) {
	if len(data)%2 != 0 {
		return nil, errors.New("1:1: the file is UTF-16 and ends within a character: save it as UTF-8")
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	text := []byte(string(utf16.Decode(units)))
	if at := bytes.ContainsRune(text, utf8.RuneError); at {
		return nil, fmt.Errorf("%s: half a character of UTF-16: save the file as UTF-8", place(text, bytes.IndexRune(text, utf8.RuneError)))
	}
	return decodeText(text)
}

// foreign names the first character of bytes that are no UTF-8.
func foreign(data []byte) string {
	if len(data) > 1 {
		if text, err := simplifiedchinese.GBK.NewDecoder().Bytes(data[:2]); err == nil {
			if r, size := utf8.DecodeRune(text); size == len(text) && unicode.Is(unicode.Han, r) || unicode.IsPunct(r) {
				return fmt.Sprintf("a GBK (ANSI) character, %q, bytes % X,", string(r), data[:2])
			}
		}
	}
	return fmt.Sprintf("the byte %02X", data[0])
}

// place is line and column, in characters, of a byte.
func place(data []byte, at int) string {
	line := bytes.LastIndexByte(data[:at], '\n') + 1
	return fmt.Sprintf("%d:%d", 1+bytes.Count(data[:at], []byte("\n")), 1+utf8.RuneCount(data[line:at]))
}

// unwrapped takes away what editors and shells put around a single value: a byte order mark and line ends.
func unwrapped(text string) string {
	return strings.TrimRight(strings.TrimPrefix(text, byteOrderMark), "\r\n")
}
