package manifest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes; its text is "50MiB", "1GB" or plain "1048576".
type Size int64

// sizeUnits holds the longest names first, binary before decimal, so that a
// size is written in the largest unit that divides it.
func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"PiB", 1 << 50}, {"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"PB", 1e15}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1},
	}
}

type sizeUnit struct {
	name  string
	bytes int64
}

// ParseSize reads a size; a fraction ("1.5GiB") is fine, a negative one or an
// unknown unit is not.
func ParseSize(text string) (Size, error) {
	number, factor := strings.TrimSpace(text), int64(1)
	for _, u := range sizeUnits() {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f < 0 || math.IsNaN(f) || f*float64(factor) > math.MaxInt64/2 || strings.ContainsAny(number, "xXpP_") {
		return 0, fmt.Errorf("%q is not a size like 256MiB, 1.5GB or 1048576", text)
	}
	size := Size(f * float64(factor))
	if size == 0 && f > 0 { // 0 may mean none
		return 0, fmt.Errorf("%q is less than one byte", text)
	}
	return size, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(b []byte) error {
	v, err := ParseSize(string(b))
	if err == nil {
		*s = v
	}
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Size) String() string {
	if s == 0 {
		return "0"
	}
	for _, u := range sizeUnits() {
		if int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// ParseRate reads bytes per second, "50MiB/s"; the "/s" may be left out, the
// empty text is 0: no limit.
func ParseRate(text string) (int64, error) {
	if strings.TrimSpace(text) == "" {
		return 0, nil
	}
	s, err := ParseSize(strings.TrimSuffix(strings.TrimSpace(text), "/s"))
	if err != nil {
		return 0, fmt.Errorf("%q is not a rate like 50MiB/s", text)
	}
	if s == 0 {
		return 0, fmt.Errorf("%q would copy nothing; leave the limit out for none, or pause the link", text)
	}
	return int64(s), nil
}

// FormatRate is the inverse of ParseRate.
func FormatRate(bytesPerSecond int64) string {
	if bytesPerSecond == 0 {
		return ""
	}
	return Size(bytesPerSecond).String() + "/s"
}
