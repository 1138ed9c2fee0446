package picture

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"image/gif"
	"io"
)

// head is what the beginning of a picture's file says.
type head struct {
	width, height int
	bytes, per    int64 // what decoding takes: so many bytes for so many pixels
	orientation   int   // of EXIF; 0: not said
}

func headOf(r io.Reader, media string) (head, error) {
	switch media {
	case "image/jpeg":
		return jpegHead(bufio.NewReader(r))
	case "image/png":
		return pngHead(r)
	case "image/gif":
		c, err := gif.DecodeConfig(r)
		if err != nil {
			return head{}, fmt.Errorf("%w: %w", ErrBroken, err)
		}
		return head{width: c.Width, height: c.Height, bytes: 2, per: 1}, nil
	}
	return head{}, fmt.Errorf("%w: %s", ErrFormat, media)
}

// pngHead reads IHDR, which is the first chunk of every PNG.
func pngHead(r io.Reader) (head, error) {
	var b [29]byte
	if _, err := io.ReadFull(r, b[:]); err != nil || string(b[:8]) != "\x89PNG\r\n\x1a\n" || string(b[12:16]) != "IHDR" {
		return head{}, fmt.Errorf("%w: no PNG", ErrBroken)
	}
	h := head{width: int(int32(binary.BigEndian.Uint32(b[16:]))), height: int(int32(binary.BigEndian.Uint32(b[20:]))), bytes: 4, per: 1}
	if b[24] == 16 {
		h.bytes = 8
	}
	if b[28] != 0 { // interlaced: the passes, and the whole
		h.bytes *= 2
	}
	return h, nil
}

// The markers of a JPEG that matter here.
const (
	app0, app1, lastApp = 0xE0, 0xE1, 0xEF
	tables, quantities  = 0xC4, 0xDB
	interval, comment   = 0xDD, 0xFE
	baseline, lastFrame = 0xC0, 0xCF
	progressive         = 0xC2
)

// jpegHead reads the segments up to the frame's, which says how large it is, how many samples a pixel has and whether all of them are kept
// until the end of the file (progressive: four bytes more for each).
func jpegHead(r *bufio.Reader) (h head, err error) {
	broken := func(what string) (head, error) { return head{}, fmt.Errorf("%w: JPEG: %s", ErrBroken, what) }
	var two [2]byte
	if _, err := io.ReadFull(r, two[:]); err != nil || two != [2]byte{0xFF, 0xD8} {
		return broken("no beginning")
	}
	for range 1000 { // segments; the comments of a sane file are few
		marker := byte(0xFF)
		for first := true; marker == 0xFF; first = false { // fill bytes are 0xFF too
			if marker, err = r.ReadByte(); err != nil || first && marker != 0xFF {
				return broken("no marker")
			}
		}
		if _, err := io.ReadFull(r, two[:]); err != nil {
			return broken("cut")
		}
		size := int(binary.BigEndian.Uint16(two[:])) - 2
		switch {
		case size < 0 || !before(marker):
			return broken("no frame")
		case marker != app1 && (marker == tables || marker > lastFrame):
			if _, err := r.Discard(size); err != nil {
				return broken("cut")
			}
			continue
		}
		segment := make([]byte, size)
		if _, err := io.ReadFull(r, segment); err != nil {
			return broken("cut")
		}
		if marker == app1 {
			if h.orientation == 0 {
				h.orientation = orientationOf(segment)
			}
			continue
		}
		if size < 6 || size < 6+3*int(segment[5]) {
			return broken("frame")
		}
		h.height, h.width = int(binary.BigEndian.Uint16(segment[1:])), int(binary.BigEndian.Uint16(segment[3:]))
		var samples, largest int64
		for i := range int(segment[5]) {
			n := int64(segment[7+3*i]>>4) * int64(segment[7+3*i]&15)
			samples, largest = samples+n, max(largest, n)
		}
		if samples == 0 {
			return broken("frame")
		}
		if h.bytes, h.per = samples, largest; segment[5] == 4 { // CMYK is converted
			h.bytes += 4 * largest
		}
		if marker == progressive {
			h.bytes += 4 * samples
		}
		return h, nil
	}
	return broken("no frame")
}

// before says whether a segment may stand before the picture. All others end the search: some markers have no segment, and a reader that skips one there
// sees another picture than the decoder.
func before(marker byte) bool {
	switch marker {
	case tables, quantities, interval, comment:
		return true
	case 0xC8, 0xCC: // no frames
		return false
	}
	return baseline <= marker && marker <= lastFrame || app0 <= marker && marker <= lastApp
}

// orientationOf reads EXIF's orientation (tag 0x0112 of the first directory); 0 where it is not said, or not well said.
func orientationOf(segment []byte) int {
	tiff, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00"))
	if !ok || len(tiff) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.BigEndian
	if string(tiff[:2]) == "II" {
		order = binary.LittleEndian
	}
	at := int64(order.Uint32(tiff[4:]))
	if at+2 > int64(len(tiff)) {
		return 0
	}
	entries := int64(order.Uint16(tiff[at:]))
	for i := range entries {
		entry := at + 2 + 12*i
		if entry+12 > int64(len(tiff)) {
			return 0
		}
		if order.Uint16(tiff[entry:]) == 0x0112 {
			if value := int(order.Uint16(tiff[entry+8:])); value >= 1 && value <= 8 {
				return value
			}
			return 0
		}
	}
	return 0
}
