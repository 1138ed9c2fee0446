package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written 64KiB, 100MiB or as a plain number. MB and KB are refused: half the world reads them
// as powers of ten.
type Size int64

var sizeUnits = []struct {
	name string
	size int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	number, factor := strings.TrimSpace(string(text)), int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, factor = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return errors.New("is no size: write bytes, or a whole number with KiB, MiB or GiB, like 64KiB")
	}
	*s = Size(n * factor)
	return nil
}

// MarshalText writes the largest unit that divides the size.
func (s Size) MarshalText() ([]byte, error) {
	for _, u := range sizeUnits {
		if s != 0 && int64(s)%u.size == 0 && u.size > 1 {
			return []byte(strconv.FormatInt(int64(s)/u.size, 10) + u.name), nil
		}
	}
	return []byte(strconv.FormatInt(int64(s), 10)), nil
}

// Duration is a time span with a unit: 8s, 10m, 1h30m, or 0.
type Duration time.Duration

// UnmarshalText reads a duration. A number without a unit is refused: nobody can tell seconds from milliseconds.
func (d *Duration) UnmarshalText(text []byte) error {
	n, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		return errors.New("is no time span: write a number with a unit, like 500ms, 8s, 10m or 24h")
	}
	if n < 0 {
		return errors.New("is negative")
	}
	*d = Duration(n)
	return nil
}

// MarshalText writes 10m, not 10m0s.
func (d Duration) MarshalText() ([]byte, error) {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return []byte(text), nil
}

// Percent is a share of a hundred, written 5%.
type Percent float64

// UnmarshalText reads a percentage; the sign is required.
func (p *Percent) UnmarshalText(text []byte) error {
	number, ok := strings.CutSuffix(strings.TrimSpace(string(text)), "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || !(n >= 0 && n <= 100) {
		return errors.New("is no percentage: write 0% to 100%")
	}
	*p = Percent(n)
	return nil
}

// MarshalText writes the percentage with its sign.
func (p Percent) MarshalText() ([]byte, error) {
	return []byte(strconv.FormatFloat(float64(p), 'f', -1, 64) + "%"), nil
}

// CIDR is a range of addresses; a single address stands for itself.
type CIDR struct{ netip.Prefix }

// UnmarshalText reads a range. Bits beyond the mask are refused, they are a slip of the pen more often than not.
func (c *CIDR) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		c.Prefix = netip.PrefixFrom(addr, addr.BitLen())
		return nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return errors.New("is no address range: write it like 10.0.0.0/8 or 192.168.1.7")
	}
	if prefix != prefix.Masked() {
		return fmt.Errorf("has bits beyond its mask: is %s meant?", prefix.Masked())
	}
	c.Prefix = prefix
	return nil
}

// Switch is on or off; true and false say the same.
type Switch bool

// UnmarshalText reads a switch.
func (s *Switch) UnmarshalText(text []byte) error {
	switch strings.ToLower(strings.TrimSpace(string(text))) {
	case "on", "true", "yes":
		*s = true
	case "off", "false", "no":
		*s = false
	default:
		return errors.New("is neither on nor off")
	}
	return nil
}

// MarshalText writes on or off.
func (s Switch) MarshalText() ([]byte, error) {
	if s {
		return []byte("on"), nil
	}
	return []byte("off"), nil
}

// Path is a file or folder; a relative one is relative to the configuration file's folder and made absolute by Load.
type Path string
