package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"
)

// quarters is a picture of red, green, blue and white quarters: from the upper left, row by row.
func quarters(width, height int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetNRGBA(x, y, corners[y*2/height*2+x*2/width])
		}
	}
	return m
}

var corners = []color.NRGBA{{R: 255, A: 255}, {G: 255, A: 255}, {B: 255, A: 255}, {R: 255, G: 255, B: 255, A: 255}}

// corner names the colour of a quarter.
func corner(m image.Image, right, low bool) string {
	b := m.Bounds()
	x, y := b.Min.X+b.Dx()/4, b.Min.Y+b.Dy()/4
	if right {
		x += b.Dx() / 2
	}
	if low {
		y += b.Dy() / 2
	}
	r, g, bl, _ := m.At(x, y).RGBA()
	return map[[3]bool]string{{true, false, false}: "r", {false, true, false}: "g", {false, false, true}: "b", {true, true, true}: "w"}[[3]bool{r > 0x8000, g > 0x8000, bl > 0x8000}]
}

func look(m image.Image) string {
	return corner(m, false, false) + corner(m, true, false) + corner(m, false, true) + corner(m, true, true)
}

func jpegOf(t *testing.T, m image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := jpeg.Encode(&out, m, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func pngOf(t *testing.T, m image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, m); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// turned is a JPEG with EXIF's orientation.
func turned(t *testing.T, m image.Image, order binary.AppendByteOrder, orientation int) []byte {
	t.Helper()
	plain := jpegOf(t, m)
	tiff := []byte("MM\x00*")
	if order == binary.AppendByteOrder(binary.LittleEndian) {
		tiff = []byte("II*\x00")
	}
	tiff = order.AppendUint32(tiff, 8)
	tiff = order.AppendUint16(tiff, 2)
	tiff = append(order.AppendUint32(order.AppendUint16(order.AppendUint16(tiff, 0x010F), 2), 1), 'x', 0, 0, 0) // who made it
	tiff = order.AppendUint32(order.AppendUint16(order.AppendUint16(tiff, 0x0112), 3), 1)
	tiff = append(order.AppendUint16(tiff, uint16(orientation)), 0, 0)
	segment := append([]byte("Exif\x00\x00"), tiff...)
	out := append([]byte{}, plain[:2]...)
	out = binary.BigEndian.AppendUint16(append(out, 0xFF, 0xE1), uint16(len(segment)+2))
	return append(append(out, segment...), plain[2:]...)
}

func small(t *testing.T, content []byte, media string, side int) (image.Image, string) {
	t.Helper()
	out, kind, err := Thumbnail(t.Context(), bytes.NewReader(content), media, side)
	if err != nil {
		t.Fatal(err)
	}
	m, format, err := image.Decode(bytes.NewReader(out))
	if err != nil || kind != "image/"+format {
		t.Fatalf("got %s and %s, %v, want a picture", kind, format, err)
	}
	return m, kind
}

func TestThumbnail(t *testing.T) {
	clear := quarters(300, 200)
	clear.SetNRGBA(10, 10, color.NRGBA{R: 255, A: 128})
	var paletted bytes.Buffer
	if err := gif.Encode(&paletted, quarters(300, 200), nil); err != nil {
		t.Fatal(err)
	}
	deep := image.NewRGBA64(image.Rect(0, 0, 300, 200))
	for y := range 200 {
		for x := range 300 {
			deep.Set(x, y, quarters(300, 200).At(x, y))
		}
		if y > 3 {
			break
		}
	}
	for _, c := range []struct {
		name, media   string
		content       []byte
		side          int
		width, height int
		kind          string
	}{
		{"JPEG", "image/jpeg", jpegOf(t, quarters(300, 200)), 64, 64, 42, "image/jpeg"},
		{"upright", "image/jpeg", jpegOf(t, quarters(200, 300)), 64, 42, 64, "image/jpeg"},
		{"PNG that nothing can be seen through", "image/png", pngOf(t, quarters(300, 200)), 64, 64, 42, "image/jpeg"},
		{"PNG", "image/png", pngOf(t, clear), 64, 64, 42, "image/png"},
		{"GIF", "image/gif", paletted.Bytes(), 64, 64, 42, "image/jpeg"},
		{"smaller than asked for", "image/jpeg", jpegOf(t, quarters(30, 20)), 64, 30, 20, "image/jpeg"},
		{"one pixel high", "image/png", pngOf(t, quarters(300, 1)), 64, 64, 1, "image/jpeg"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, kind := small(t, c.content, c.media, c.side)
			if b := m.Bounds(); b.Dx() != c.width || b.Dy() != c.height || kind != c.kind {
				t.Errorf("got %d x %d, %s, want %d x %d, %s", b.Dx(), b.Dy(), kind, c.width, c.height, c.kind)
			}
			if got := look(m); c.height > 1 && got != "rgbw" {
				t.Errorf("got %s, want the quarters as they are", got)
			}
		})
	}
	if m, _ := small(t, pngOf(t, deep), "image/png", 64); m.Bounds().Dx() != 64 {
		t.Errorf("16 bits: got %v, want 64 pixels", m.Bounds())
	}
	if _, _, err := Thumbnail(t.Context(), bytes.NewReader(nil), "image/webp", 64); !errors.Is(err, ErrFormat) || Decodes("image/webp") || !Decodes("image/gif") {
		t.Errorf("another format: got %v, want ErrFormat", err)
	}
}

func TestThumbnailStandsAsItsCameraWasHeld(t *testing.T) {
	for orientation, want := range map[int]string{0: "rgbw", 1: "rgbw", 2: "grwb", 3: "wbgr", 4: "bwrg", 5: "rbgw", 6: "brwg", 7: "wgbr", 8: "gwrb", 9: "rgbw", 0x600: "rgbw"} {
		for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
			t.Run(fmt.Sprint(orientation, order), func(t *testing.T) {
				content := turned(t, quarters(300, 200), order, orientation)
				m, _ := small(t, content, "image/jpeg", 60)
				width := 60
				if orientation >= 5 && orientation <= 8 {
					width = 40
				}
				if look(m) != want || m.Bounds().Dx() != width {
					t.Errorf("got %s, %d wide, want %s, %d", look(m), m.Bounds().Dx(), want, width)
				}
				out, _, err := Thumbnail(t.Context(), bytes.NewReader(content), "image/jpeg", 60)
				if err != nil || bytes.Contains(out, []byte("Exif")) {
					t.Errorf("got EXIF in the small one, %v, want none", err)
				}
			})
		}
	}
}

// A bomb is small as a file, and is refused by its head: nothing of it is decoded.
func TestThumbnailRefusesBombs(t *testing.T) {
	pngHead := func(width, height uint32, depth, interlace byte) []byte {
		ihdr := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("IHDR"), width), height)
		ihdr = append(ihdr, depth, 2, 0, 0, interlace)
		out := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), ihdr...)
		return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(ihdr))
	}
	jpegHead := func(marker byte, width, height uint16, sampling ...byte) []byte {
		frame := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16([]byte{8}, height), width)
		frame = append(frame, byte(len(sampling)))
		for i, s := range sampling {
			frame = append(frame, byte(i+1), s, 0)
		}
		out := binary.BigEndian.AppendUint16([]byte{0xFF, 0xD8, 0xFF, marker}, uint16(len(frame)+2))
		return append(out, frame...)
	}
	// A marker, the frame of 65535 x 65535 pixels with its scan, and where a reader that skipped them as a segment looks, a small frame.
	hidden := func(marker byte) []byte {
		out := []byte{0xFF, 0xD8, 0xFF, marker}
		inside := append(jpegHead(0xC0, 65535, 65535, 0x22, 0x11, 0x11)[2:], 0xFF, 0xDA, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0)
		length := int(binary.BigEndian.Uint16(inside))
		out = append(append(out, inside...), make([]byte, length-len(inside))...)
		return append(out, jpegHead(0xC0, 16, 16, 0x11)[2:]...)
	}
	gifHead := append([]byte("GIF89a"), 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0)
	for _, c := range []struct {
		name, media string
		content     []byte
		want        error
	}{
		{"PNG", "image/png", pngHead(40000, 40000, 8, 0), ErrTooLarge},
		{"PNG, a line", "image/png", pngHead(1<<30, 1, 8, 0), ErrTooLarge},
		{"PNG, larger than a number", "image/png", pngHead(0xFFFFFFFF, 0xFFFFFFFF, 8, 0), ErrBroken},
		{"PNG of 16 bits", "image/png", pngHead(5000, 5000, 16, 0), ErrTooLarge},
		{"PNG that is interlaced", "image/png", pngHead(5000, 5000, 8, 1), ErrTooLarge},
		{"PNG that is large enough", "image/png", pngHead(5000, 5000, 8, 0), ErrBroken}, // nothing follows
		{"JPEG", "image/jpeg", jpegHead(0xC0, 65535, 65535, 0x22, 0x11, 0x11), ErrTooLarge},
		{"JPEG of 50 million pixels", "image/jpeg", jpegHead(0xC0, 8660, 5773, 0x22, 0x11, 0x11), ErrBroken},
		{"the same, progressive", "image/jpeg", jpegHead(0xC2, 8660, 5773, 0x22, 0x11, 0x11), ErrTooLarge},
		{"12 million, progressive", "image/jpeg", jpegHead(0xC2, 4000, 3000, 0x22, 0x11, 0x11), ErrBroken},
		{"GIF", "image/gif", gifHead, ErrTooLarge},
		{"none", "image/jpeg", nil, ErrBroken},
		{"text", "image/jpeg", []byte("<script>alert(1)</script>"), ErrBroken},
		{"text as PNG", "image/png", bytes.Repeat([]byte("x"), 100), ErrBroken},
		{"text as GIF", "image/gif", bytes.Repeat([]byte("x"), 100), ErrBroken},
		{"JPEG without a frame", "image/jpeg", []byte{0xFF, 0xD8, 0xFF, 0xDA, 0, 2}, ErrBroken},
		{"JPEG of segments without end", "image/jpeg", append([]byte{0xFF, 0xD8}, bytes.Repeat([]byte{0xFF, 0xFE, 0, 2}, 2000)...), ErrBroken},
		{"JPEG with a segment of no size", "image/jpeg", []byte{0xFF, 0xD8, 0xFF, 0xE1, 0, 0}, ErrBroken},
		{"JPEG of no pixels", "image/jpeg", jpegHead(0xC0, 0, 9, 0x11), ErrBroken},
		{"JPEG of no components", "image/jpeg", jpegHead(0xC0, 9, 9), ErrBroken},
		{"JPEG of no samples", "image/jpeg", jpegHead(0xC0, 9, 9, 0), ErrBroken},
		// The decoder takes these markers for such without a segment: what is skipped here as one is the picture there.
		{"JPEG whose frame stands in a restart marker", "image/jpeg", hidden(0xD0), ErrBroken},
		{"JPEG whose frame stands in a stuffed byte", "image/jpeg", hidden(0x00), ErrBroken},
		{"JPEG whose frame stands in an unknown marker", "image/jpeg", hidden(0x02), ErrBroken},
		{"JPEG whose frame stands behind its end", "image/jpeg", hidden(0xD9), ErrBroken},
		{"half a JPEG", "image/jpeg", jpegOf(t, quarters(300, 200))[:900], ErrBroken},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := Thumbnail(t.Context(), bytes.NewReader(c.content), c.media, 64); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestThumbnailEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Thumbnail(ctx, bytes.NewReader(jpegOf(t, quarters(300, 200))), "image/jpeg", 64); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
	if _, err := shrink(ctx, quarters(300, 200), 64); !errors.Is(err, context.Canceled) {
		t.Errorf("while it is made small: got %v, want the context's end", err)
	}
}

// Whatever EXIF says, nothing is read behind its end.
func FuzzHead(f *testing.F) {
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x20Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff\x12\x01"))
	f.Add([]byte("\xff\xd8\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, media := range []string{"image/jpeg", "image/png", "image/gif"} {
			h, err := headOf(bytes.NewReader(content), media)
			if err == nil && h.per == 0 {
				t.Errorf("%s: got %+v, want how many bytes", media, h)
			}
		}
	})
}
