package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
)

// ErrDamaged: the store of Raft's log holds what nobody wrote.
var ErrDamaged = errors.New("the store of Raft's log is damaged")

// damaged says what an operator does about it.
func damaged(path, name string, why error) error {
	return fmt.Errorf("%w: %s: %w; the rest of the cluster is safe and holds the same facts: move the data dir away, "+
		"take this node out with `sluice cluster remove %s` at another one, and start it again, which lets it join as a new node", ErrDamaged, path, why, name)
}

// checkStore reads the whole tree of a bolt file (go.etcd.io/bbolt, format 2)
// and returns what is wrong with it. bolt has no check that ends well: it
// panics where it meets damage, some of it on goroutines of its own, and a file
// that is shorter than it says raises a signal. A file that is not there, or
// empty, is none.
func checkStore(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	t := &boltTree{file: f, size: uint64(info.Size()), seen: map[uint64]bool{}}
	root, err := t.head()
	if err != nil {
		return err
	}
	return t.page(root, true, nil, nil)
}

// What stands in a bolt file.
const (
	boltMagic, boltVersion = 0xED0CDAED, 2
	boltBranch, boltLeaf   = 1, 2 // flags of pages
	boltPageHead           = 16   // id, flags, count, overflow
	boltElement            = 16   // of a page, before keys and values
	boltHead               = 64   // magic, version, page size, flags, root and its sequence, freelist, high, transaction, checksum
	boltBucket             = 16   // root, sequence
)

// boltTree is a bolt file whose pages are checked.
type boltTree struct {
	file     io.ReaderAt
	size     uint64 // of the file
	pageSize uint64
	high     uint64 // pages from here on are not in use
	seen     map[uint64]bool
}

// head finds the newer of both heads that are whole, and the root of all.
func (t *boltTree) head() (root uint64, err error) {
	newest, found := uint64(0), false
	for at := range uint64(2) {
		size := uint64(os.Getpagesize())
		if t.pageSize > 0 {
			size = t.pageSize
		}
		b := make([]byte, boltPageHead+boltHead)
		if _, err := t.file.ReadAt(b, int64(at*size)); err != nil {
			continue
		}
		b = b[boltPageHead:]
		sum := fnv.New64a()
		_, _ = sum.Write(b[:56])
		n := binary.NativeEndian
		if n.Uint32(b) != boltMagic || n.Uint32(b[4:]) != boltVersion || n.Uint64(b[56:]) != sum.Sum64() {
			continue
		}
		if txid := n.Uint64(b[48:]); !found || txid > newest {
			newest, found = txid, true
			t.pageSize, root, t.high = uint64(n.Uint32(b[8:])), n.Uint64(b[16:]), n.Uint64(b[40:])
		}
	}
	switch {
	case !found:
		return 0, errors.New("neither of its two heads is whole")
	case t.pageSize < 512 || t.pageSize > 1<<20 || t.high > t.size/t.pageSize:
		return 0, fmt.Errorf("its head tells of %d pages of %d bytes, and the file has %d bytes", t.high, t.pageSize, t.size)
	}
	return root, nil
}

// page checks a page and all below it: whose keys are at least from, and below
// to where that is not nil. top: it belongs to the bucket that holds buckets.
func (t *boltTree) page(id uint64, top bool, from, to []byte) error {
	if id < 2 || id >= t.high || t.seen[id] {
		return fmt.Errorf("page %d is out of place", id)
	}
	b := make([]byte, boltPageHead)
	if _, err := t.file.ReadAt(b, int64(id*t.pageSize)); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	more := uint64(binary.NativeEndian.Uint32(b[12:]))
	if binary.NativeEndian.Uint64(b) != id || more >= t.high-id {
		return fmt.Errorf("page %d is not itself", id)
	}
	for i := range more + 1 {
		if t.seen[id+i] {
			return fmt.Errorf("page %d is in use twice", id+i)
		}
		t.seen[id+i] = true
	}
	b = make([]byte, (more+1)*t.pageSize)
	if _, err := t.file.ReadAt(b, int64(id*t.pageSize)); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	if err := t.elements(b, top, from, to); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// elements checks what stands in a page.
func (t *boltTree) elements(b []byte, top bool, from, to []byte) error {
	flags, count := binary.NativeEndian.Uint16(b[8:]), int(binary.NativeEndian.Uint16(b[10:]))
	if flags != boltBranch && flags != boltLeaf || boltPageHead+count*boltElement > len(b) || flags == boltBranch && count == 0 {
		return fmt.Errorf("flags %d and %d elements", flags, count)
	}
	keys, children := make([][]byte, count), make([]uint64, count)
	for i := range count {
		at := boltPageHead + i*boltElement
		e, err := elementOf(b, at, flags == boltLeaf)
		if err != nil {
			return err
		}
		keys[i], children[i] = e.key, e.child
		if before := from; i > 0 && bytes.Compare(keys[i-1], e.key) >= 0 || bytes.Compare(e.key, before) < 0 || to != nil && bytes.Compare(e.key, to) >= 0 {
			return fmt.Errorf("key %d is out of order", i)
		}
		if flags == boltLeaf {
			if err := t.value(e, top); err != nil {
				return err
			}
		}
	}
	if flags == boltLeaf {
		return nil
	}
	for i, child := range children {
		end := to
		if i+1 < count {
			end = keys[i+1]
		}
		if err := t.page(child, top, keys[i], end); err != nil {
			return err
		}
	}
	return nil
}

// boltPair is an element of a page.
type boltPair struct {
	key, value []byte
	bucket     bool
	child      uint64 // page, of a branch
}

func elementOf(b []byte, at int, leaf bool) (e boltPair, err error) {
	n := binary.NativeEndian
	pos, keySize, valueSize := uint64(n.Uint32(b[at:])), uint64(n.Uint32(b[at+4:])), uint64(0)
	if leaf {
		pos, keySize, valueSize = uint64(n.Uint32(b[at+4:])), uint64(n.Uint32(b[at+8:])), uint64(n.Uint32(b[at+12:]))
		e.bucket = n.Uint32(b[at:]) == 1
		if n.Uint32(b[at:]) > 1 {
			return e, fmt.Errorf("an element of kind %d", n.Uint32(b[at:]))
		}
	} else {
		e.child = n.Uint64(b[at+8:])
	}
	begin := uint64(at) + pos
	if keySize == 0 || pos < boltElement || begin+keySize+valueSize > uint64(len(b)) {
		return e, errors.New("an element outside of its page")
	}
	e.key, e.value = b[begin:begin+keySize], b[begin+keySize:begin+keySize+valueSize]
	return e, nil
}

// value checks an element's value: buckets stand at the top, and nothing else.
func (t *boltTree) value(e boltPair, top bool) error {
	switch {
	case e.bucket != top:
		return errors.New("a bucket in a bucket, or an entry beside buckets")
	case !top:
		return nil
	case len(e.value) < boltBucket:
		return errors.New("a bucket without a root")
	}
	if root := binary.NativeEndian.Uint64(e.value); root != 0 {
		return t.page(root, false, nil, nil)
	}
	inline := e.value[boltBucket:] // a small bucket is a page in its element
	if len(inline) < boltPageHead || binary.NativeEndian.Uint16(inline[8:]) != boltLeaf {
		return errors.New("a small bucket that is no leaf")
	}
	return t.elements(inline, false, nil, nil)
}
