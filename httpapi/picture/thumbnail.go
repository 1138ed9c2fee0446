package picture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
)

// MaxMemory is what the decoded picture, and what its decoder needs beside it, may take: a photo of 50 million pixels.
const MaxMemory = 160 << 20

// ErrTooLarge is a picture that would take more. ErrBroken is none, or not a whole one. ErrFormat is one of another format.
var (
	ErrTooLarge = errors.New("the picture has too many pixels")
	ErrBroken   = errors.New("the picture cannot be read")
	ErrFormat   = errors.New("no small pictures are made of this format")
)

// quality is that of JPEG: of a small picture nobody sees more.
const quality = 80

// Decodes says whether small pictures can be made of a media type.
func Decodes(media string) bool {
	return media == "image/jpeg" || media == "image/png" || media == "image/gif"
}

// Thumbnail makes a picture of which no side is longer than side pixels, as JPEG, or as PNG where some of it can be seen through, and
// answers its media type. It is never larger than the one that it is made of. Errors are those above, or the context's.
func Thumbnail(ctx context.Context, r io.ReadSeeker, media string, side int) (content []byte, kind string, err error) {
	in := &timely{ctx: ctx, r: r}
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		}
	}()
	// 1. What its head says.
	h, err := headOf(in, media)
	if err != nil {
		return nil, "", err
	}
	if h.width <= 0 || h.height <= 0 {
		return nil, "", fmt.Errorf("%w: %d x %d pixels", ErrBroken, h.width, h.height)
	}
	if pixels := int64(h.width) * int64(h.height); pixels > MaxMemory || pixels*h.bytes/h.per > MaxMemory {
		return nil, "", fmt.Errorf("%w: %d x %d", ErrTooLarge, h.width, h.height)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, "", err
	}
	// 2. The picture.
	decode := map[string]func(io.Reader) (image.Image, error){"image/jpeg": jpeg.Decode, "image/png": png.Decode, "image/gif": gif.Decode}[media]
	large, err := decode(in)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	// 3. A small one.
	small, err := shrink(ctx, large, side)
	if err != nil {
		return nil, "", err
	}
	small = upright(small, h.orientation)
	var out bytes.Buffer
	if small.Opaque() {
		kind, err = "image/jpeg", jpeg.Encode(&out, small, &jpeg.Options{Quality: quality})
	} else {
		kind, err = "image/png", png.Encode(&out, small)
	}
	return out.Bytes(), kind, err
}

// shrink averages what lies under each pixel of the small picture.
func shrink(ctx context.Context, large image.Image, side int) (*image.NRGBA, error) {
	from := large.Bounds()
	width, height := from.Dx(), from.Dy()
	switch longer := max(width, height); {
	case longer <= side:
	case width == longer:
		width, height = side, max(1, height*side/longer)
	default:
		width, height = max(1, width*side/longer), side
	}
	at := pixelsOf(large)
	small := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		top, bottom := from.Min.Y+y*from.Dy()/height, from.Min.Y+(y+1)*from.Dy()/height
		for x := range width {
			left, right := from.Min.X+x*from.Dx()/width, from.Min.X+(x+1)*from.Dx()/width
			var r, g, b, a, n uint64
			for sy := top; sy < bottom; sy++ {
				for sx := left; sx < right; sx++ {
					c := at(sx, sy)
					r, g, b, a, n = r+uint64(c.R), g+uint64(c.G), b+uint64(c.B), a+uint64(c.A), n+1
				}
			}
			mean := color.RGBA64{R: uint16(r / n), G: uint16(g / n), B: uint16(b / n), A: uint16(a / n)}
			small.SetNRGBA(x, y, color.NRGBAModel.Convert(mean).(color.NRGBA))
		}
	}
	return small, nil
}

// pixelsOf reads pixels, without making a value for each where the picture can.
func pixelsOf(m image.Image) func(x, y int) color.RGBA64 {
	if fast, ok := m.(image.RGBA64Image); ok {
		return fast.RGBA64At
	}
	return func(x, y int) color.RGBA64 {
		r, g, b, a := m.At(x, y).RGBA()
		return color.RGBA64{R: uint16(r), G: uint16(g), B: uint16(b), A: uint16(a)}
	}
}

// upright turns and mirrors a picture as EXIF's orientation says: 1 is as it is.
func upright(m *image.NRGBA, orientation int) *image.NRGBA {
	width, height := m.Rect.Dx(), m.Rect.Dy()
	// Where the pixel x, y of the upright picture is in m.
	from := map[int]func(x, y int) (int, int){
		2: func(x, y int) (int, int) { return width - 1 - x, y },
		3: func(x, y int) (int, int) { return width - 1 - x, height - 1 - y },
		4: func(x, y int) (int, int) { return x, height - 1 - y },
		5: func(x, y int) (int, int) { return y, x },
		6: func(x, y int) (int, int) { return y, height - 1 - x },
		7: func(x, y int) (int, int) { return width - 1 - y, height - 1 - x },
		8: func(x, y int) (int, int) { return width - 1 - y, x },
	}[orientation]
	if from == nil {
		return m
	}
	size := image.Rect(0, 0, width, height)
	if orientation >= 5 {
		size = image.Rect(0, 0, height, width)
	}
	out := image.NewNRGBA(size)
	for y := range size.Dy() {
		for x := range size.Dx() {
			fx, fy := from(x, y)
			out.SetNRGBA(x, y, m.NRGBAAt(fx, fy))
		}
	}
	return out
}

// timely is a reader that fails when its context is over, and with it the decoder.
type timely struct {
	ctx context.Context
	r   io.Reader
}

// Read reads on.
func (t *timely) Read(b []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	return t.r.Read(b)
}
