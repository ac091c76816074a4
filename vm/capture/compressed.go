package capture

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds how far back a zstd stream may refer, because the decoder
// allocates that much on the word of the stream's header. RFC 8878 asks of
// decoders that they support 8 MiB; zstd goes beyond it with --ultra and
// --long only.
const maxWindow = 8 << 20

// decompress looks at the first bytes and puts a decompressor in front of the
// input where they are gzip's or zstd's.
func (r *Reader) decompress() error {
	if err := r.fill(4); err == io.EOF && len(r.rest) == 0 {
		return r.failHeader(r.fail("the input is empty"))
	} else if err != nil {
		return r.failHeader(r.failShort("file header", 4, err))
	}
	gz, zst := r.rest[0] == 0x1f && r.rest[1] == 0x8b, isZstd(r.rest)
	if !gz && !zst {
		return nil
	}
	raw := &joined{head: bytes.Clone(r.rest), tail: r.src, tailErr: r.srcErr}
	var plain io.Reader
	var err error
	if gz {
		plain, err = gzip.NewReader(raw)
	} else {
		// One at a time: decoding in this goroutine, so that a reader that
		// is dropped before the end leaves nothing running.
		plain, err = zstd.NewReader(raw, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	}
	if err != nil {
		r.rest = nil
		return r.failHeader(&Error{Msg: "cannot decompress", Err: err})
	}
	r.src, r.srcErr, r.read = plain, nil, 0
	r.buf, r.rest = r.buf[:0], nil
	return nil
}

// isZstd recognises a zstd frame or one of the skippable frames with which
// pzstd's output begins.
func isZstd(b []byte) bool {
	return bytes.Equal(b[:4], []byte{0x28, 0xb5, 0x2f, 0xfd}) ||
		b[0]&0xf0 == 0x50 && bytes.Equal(b[1:4], []byte{0x2a, 0x4d, 0x18})
}

// joined reads the bytes that were looked at already, then the rest.
type joined struct {
	head    []byte
	tail    io.Reader
	tailErr error // tail has ended already
}

func (j *joined) Read(p []byte) (int, error) {
	switch {
	case len(j.head) > 0:
		n := copy(p, j.head)
		j.head = j.head[n:]
		return n, nil
	case j.tailErr != nil:
		return 0, j.tailErr
	}
	return j.tail.Read(p)
}
