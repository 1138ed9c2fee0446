package httpapi

import (
	"mime"
	"net/http"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// fileName makes of what an uploader calls a file a name that a browser may save it under: no path, nothing that does not
// show, no change of direction (which makes exe.gpj of jpg.exe), at most 255 characters with the ending kept.
func fileName(name string) string {
	name = strings.ToValidUTF8(name, "_")
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Bidi_Control, r), unicode.IsControl(r), r == 0xFEFF, r == 0xFFFE, r == 0xFFFF:
			return -1
		case strings.ContainsRune(`<>:"|?*`, r): // Windows takes none of them
			return '_'
		}
		return r
	}, name)
	name = strings.Trim(name, " .")
	const maxStored = maxName - 1
	if utf8.RuneCountInString(name) > maxStored {
		stem, end := []rune(strings.TrimSuffix(name, path.Ext(name))), []rune(path.Ext(name))
		if len(end) > 16 {
			stem, end = []rune(name), nil
		}
		name = string(stem[:maxStored-len(end)]) + string(end)
	}
	if name == "" {
		return "file"
	}
	return name
}

// attachment is a Content-Disposition in both forms of RFC 6266: ASCII for old readers, RFC 5987 for the others. Always an
// attachment: a page that was uploaded must not run as one of ours.
func attachment(name string) string {
	ascii := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' || r == '%' {
			return '_'
		}
		return r
	}, name)
	return `attachment; filename="` + ascii + `"; filename*=UTF-8''` + escapeName(name)
}

// escapeName is the percent-encoding of RFC 5987, which suits a query string as well: a blank is %20, which every decoder
// reads, not +.
func escapeName(name string) string {
	const hex = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			out.WriteByte(c)
		default:
			out.WriteByte('%')
			out.WriteByte(hex[c>>4])
			out.WriteByte(hex[c&15])
		}
	}
	return out.String()
}

// mediaTypes are all that a file is ever sent as: what an <img>, <audio> or <video> of a client needs. A page, a script, an
// SVG is bytes.
var mediaTypes = map[string]bool{
	"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true, "image/bmp": true,
	"audio/mpeg": true, "audio/wave": true, "audio/aac": true, "audio/amr": true, "application/ogg": true, "audio/mp4": true,
	"video/mp4": true, "video/webm": true,
}

const otherMedia = "application/octet-stream"

// endings are the types of voice messages, which have no mark that [http.DetectContentType] knows.
var endings = map[string]string{".amr": "audio/amr", ".aac": "audio/aac", ".m4a": "audio/mp4", ".mp3": "audio/mpeg"}

// mediaType is found in the first bytes, not believed from the name or the uploader.
func mediaType(head []byte, name string) string {
	sniffed, _, err := mime.ParseMediaType(http.DetectContentType(head))
	if err == nil && mediaTypes[sniffed] {
		return sniffed
	}
	if ending := endings[strings.ToLower(path.Ext(name))]; ending != "" && sniffed == otherMedia {
		return ending
	}
	return otherMedia
}
