package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// ErrOverBudget says that a batch decompresses to more than the caller's
// limit.
var ErrOverBudget = errors.New("batch decompresses to more than the memory budget allows")

// Codec holds the state of compressors and decompressors, made when first
// used: at most MaxKept bytes between two calls. It starts no goroutine and is
// not safe for concurrent use: keep a few and hand them out.
type Codec struct {
	gzipReader *gzip.Reader
	gzipWriter *gzip.Writer
	lz4Reader  *lz4.Reader
	lz4Writer  *lz4.Writer
	zstdReader *zstd.Decoder
	zstdWriter *zstd.Encoder
	source     bytes.Reader
	out        appender
}

// MaxKept bounds what a Codec keeps once all codecs were used, in bytes.
const MaxKept = 8 << 20

// NewCodec returns a Codec that holds no memory yet.
func NewCodec() *Codec { return &Codec{} }

// decompress appends the decompressed src to dst.
func (c *Codec) decompress(codec Attributes, dst, src []byte, limit int) ([]byte, error) {
	defer c.source.Reset(nil) // it keeps no batch alive
	var err error
	switch codec {
	case CodecGzip:
		dst, err = c.gunzip(dst, src, limit)
	case CodecSnappy:
		dst, err = unsnappy(dst, src, limit)
	case CodecLZ4:
		dst, err = c.unlz4(dst, nil, src, limit)
	case CodecZstd:
		dst, err = c.unzstd(dst, src, limit)
	default:
		return nil, fmt.Errorf("%w: unknown codec %d", ErrCorruptBatch, codec)
	}
	return unpacked(dst, err)
}

// unpacked is what a decompressor gave: what it cannot read is corrupt.
func unpacked(dst []byte, err error) ([]byte, error) {
	if err != nil && !errors.Is(err, ErrOverBudget) {
		return nil, fmt.Errorf("%w: decompressing: %w", ErrCorruptBatch, err)
	}
	return dst, err
}

func (c *Codec) gunzip(dst, src []byte, limit int) ([]byte, error) {
	c.source.Reset(src)
	if c.gzipReader == nil {
		c.gzipReader = new(gzip.Reader)
	}
	if err := c.gzipReader.Reset(&c.source); err != nil {
		return nil, err
	}
	return readAll(dst, c.gzipReader, len(src), limit)
}

// unlz4 decompresses the frame that begins with head and goes on with src.
func (c *Codec) unlz4(dst, head, src []byte, limit int) ([]byte, error) {
	if c.lz4Reader == nil {
		c.lz4Reader = lz4.NewReader(nil)
	}
	c.source.Reset(src)
	if len(head) > 0 {
		c.lz4Reader.Reset(io.MultiReader(bytes.NewReader(head), &c.source))
	} else {
		c.lz4Reader.Reset(&c.source)
	}
	return readAll(dst, c.lz4Reader, len(src), limit)
}

// zstdWindow is how much history a frame may ask for whatever the limit is, and
// up to which the decoder's is kept; frames are written with it too. In bytes,
// Java's default.
const zstdWindow = 2 << 20

// unzstd streams: decoding in one call needs the size of the content, which
// Java's frames do not tell. The history that a frame asks for is checked
// before it is allocated.
func (c *Codec) unzstd(dst, src []byte, limit int) ([]byte, error) {
	var frame zstd.Header
	if err := frame.Decode(src); err != nil {
		return nil, err
	}
	if frame.HasFCS && frame.FrameContentSize > uint64(limit) || frame.WindowSize > uint64(max(limit, zstdWindow)) {
		return nil, ErrOverBudget
	}
	if c.zstdReader == nil {
		r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(1<<27))
		if err != nil {
			return nil, err
		}
		c.zstdReader = r
	}
	c.source.Reset(src)
	if err := c.zstdReader.Reset(&c.source); err != nil {
		return nil, err
	}
	dst, err := readAll(dst, c.zstdReader, len(src), limit)
	if frame.WindowSize > zstdWindow {
		c.zstdReader.Close()
		c.zstdReader = nil
	}
	return dst, err
}

// readAll appends what r gives to dst; guess is about the compressed size.
func readAll(dst []byte, r io.Reader, guess, limit int) ([]byte, error) {
	dst = grow(dst, min(max(3*guess, 512), limit))
	for {
		if len(dst) == cap(dst) {
			dst = grow(dst, min(cap(dst), limit-len(dst))+1)
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst) > limit {
			return nil, ErrOverBudget
		}
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// grow returns b with room for at least n more bytes.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	out := make([]byte, len(b), len(b)+n)
	copy(out, b)
	return out
}

// compress appends the compressed src to dst.
func (c *Codec) compress(codec Attributes, dst, src []byte) ([]byte, error) {
	switch codec {
	case CodecNone:
		return append(dst, src...), nil
	case CodecGzip:
		if c.gzipWriter == nil {
			c.gzipWriter = gzip.NewWriter(nil)
		}
		c.out.b = dst
		c.gzipWriter.Reset(&c.out)
		return c.out.finish(c.gzipWriter, src)
	case CodecSnappy:
		// One plain block, as librdkafka writes it; every client reads it.
		n := s2.MaxEncodedLen(len(src))
		dst = grow(dst, n)
		block := s2.EncodeSnappy(dst[len(dst):len(dst)+n], src)
		return dst[:len(dst)+len(block)], nil
	case CodecLZ4:
		c.out.b = dst
		if err := c.resetLZ4(&c.out); err != nil {
			return nil, err
		}
		return c.out.finish(c.lz4Writer, src)
	case CodecZstd:
		if c.zstdWriter == nil {
			w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true), zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
			if err != nil {
				return nil, err
			}
			c.zstdWriter = w
		}
		return c.zstdWriter.EncodeAll(src, dst), nil
	}
	return nil, fmt.Errorf("%w: unknown codec %d", ErrCorruptBatch, codec)
}

// resetLZ4 keeps to blocks of 64 KiB, the size that Kafka's own clients write
// and expect to allocate for.
func (c *Codec) resetLZ4(out io.Writer) error {
	if c.lz4Writer == nil {
		c.lz4Writer = lz4.NewWriter(nil)
		if err := c.lz4Writer.Apply(lz4.BlockSizeOption(lz4.Block64Kb)); err != nil {
			return err
		}
	}
	c.lz4Writer.Reset(out)
	return nil
}

// appender is a Writer that appends.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// finish returns what was appended, and keeps none of it alive.
func (a *appender) finish(w io.WriteCloser, src []byte) ([]byte, error) {
	defer func() { a.b = nil }()
	if _, err := w.Write(src); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return a.b, nil
}

// Java's snappy-java writes a stream of its own: a magic of 8 bytes, two
// versions of 4 bytes, then blocks, each with its size before it (4 bytes, big
// endian). Others write one plain block. (snappy-java, SnappyCodec)
const (
	xerialMagic  = "\x82SNAPPY\x00"
	xerialHeader = 16
)

var errSnappy = errors.New("malformed snappy block")

func unsnappy(dst, src []byte, limit int) ([]byte, error) {
	if len(src) < xerialHeader || string(src[:len(xerialMagic)]) != xerialMagic {
		return unsnappyBlock(dst, src, limit)
	}
	src = src[xerialHeader:]
	var err error
	for len(src) > 0 {
		if len(src) < 4 {
			return nil, errSnappy
		}
		n := int64(int32(binary.BigEndian.Uint32(src)))
		src = src[4:]
		if n < 0 || n > int64(len(src)) {
			return nil, errSnappy
		}
		if dst, err = unsnappyBlock(dst, src[:n], limit); err != nil {
			return nil, err
		}
		src = src[n:]
	}
	return dst, nil
}

func unsnappyBlock(dst, src []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	if err != nil {
		return nil, err
	}
	if n > limit-len(dst) {
		return nil, ErrOverBudget
	}
	if room := cap(dst) - len(dst); room < n {
		dst = grow(dst, max(n, min(2*len(dst), limit-len(dst))))
	}
	// The decoder may use the whole capacity, so it is given no more than n.
	out, err := s2.Decode(dst[len(dst):len(dst)+n:len(dst)+n], src)
	if err != nil {
		return nil, err
	}
	if len(out) != n {
		return nil, errSnappy
	}
	return dst[:len(dst)+n], nil
}
