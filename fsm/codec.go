package fsm

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"reflect"
	"strings"
)

// format is one form of a command in the log.
type format struct {
	command Command // a nil pointer of its Go type
	version uint8   // another meaning of the same type is another version, with a Go type of its own
	level   uint32  // the feature level from which it may be proposed; its fields may need a higher one
}

// formats holds every form of a command that this build reads. A row is never
// taken out: it may stand in somebody's log.
var formats = [...]format{
	{(*ClusterInit)(nil), 1, 1},
	{(*NodePut)(nil), 1, 1},
	{(*NodeRemove)(nil), 1, 1},
	{(*FeatureRaise)(nil), 1, 1},
	{(*Objects)(nil), 1, 1},
	{(*KafkaPin)(nil), 1, 1},
	{(*LinkState)(nil), 1, 1},
	{(*LinkPurge)(nil), 1, 1},
	{(*LinkProducer)(nil), 1, 1},
	{(*StreamsAdd)(nil), 1, 1},
	{(*Assign)(nil), 1, 1},
	{(*MappingPut)(nil), 1, 1},
	{(*ProgressBatch)(nil), 1, 1},
	{(*TaskStop)(nil), 1, 1},
	{(*TaskOrder)(nil), 1, 1},
	{(*EventsAdd)(nil), 1, 1},
	{(*Barrier)(nil), 1, 1},
	{(*OperationStep)(nil), 1, featureOperations},
	{(*StreamsEnd)(nil), 1, featureEndedStreams},
	{(*BanLift)(nil), 1, featureIdentity},
	{(*TokenPut)(nil), 1, featureIdentity},
	{(*TokenRevoke)(nil), 1, featureIdentity},
	{(*LinkHold)(nil), 1, featureRescue},
	{(*LinkAdopt)(nil), 1, featureRescue},
}

// formatOf finds the form of a command, nil when it has none.
func formatOf(c Command) *format {
	for i := range formats {
		if reflect.TypeOf(formats[i].command) == reflect.TypeOf(c) {
			return &formats[i]
		}
	}
	return nil
}

// LevelOf is the feature level that a command needs, by its form and by the
// fields that are set in it. 0: this build has no form for it.
func LevelOf(c Command) uint32 {
	f := formatOf(c)
	if f == nil {
		return 0
	}
	return max(f.level, levelOfFields(reflect.ValueOf(c)))
}

// newCommand gives an empty command of a type and version, nil for an unknown
// one.
func newCommand(t Type, version uint8) Command {
	for _, f := range formats {
		if f.command.Type() == t && f.version == version {
			return reflect.New(reflect.TypeOf(f.command).Elem()).Interface().(Command)
		}
	}
	return nil
}

// An encoded command is: magic, type, version, payload, CRC32C of all before
// (4 bytes, big endian). Raft's log store has no checksum of its own.
const (
	commandMagic = 0xC5
	commandFrame = 3 + 4
)

// castagnoli builds its table once inside hash/crc32.
func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// Encode gives the bytes of a command as they stand in the log. ErrUnknown,
// wrapped, says that this build has no form for it.
func Encode(c Command) ([]byte, error) {
	f := formatOf(c)
	if f == nil {
		return nil, fmt.Errorf("encoding command %T: %w", c, ErrUnknown)
	}
	b := []byte{commandMagic, byte(c.Type()), f.version}
	if p, ok := c.(*ProgressBatch); ok {
		b = p.append(b)
	} else {
		j, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("encoding command %T: %w", c, err)
		}
		b = append(b, j...)
	}
	return binary.BigEndian.AppendUint32(b, checksum(b)), nil
}

// Decode is the inverse of Encode. Errors are ErrCorrupt or ErrUnknown,
// wrapped; it never panics, whatever the bytes.
func Decode(b []byte) (Command, error) {
	if len(b) < commandFrame || b[0] != commandMagic {
		return nil, fmt.Errorf("decoding command of %d bytes: %w", len(b), ErrCorrupt)
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if checksum(body) != sum {
		return nil, fmt.Errorf("decoding command: checksum differs: %w", ErrCorrupt)
	}
	c := newCommand(Type(b[1]), b[2])
	if c == nil {
		return nil, fmt.Errorf("decoding command type %d version %d: %w", b[1], b[2], ErrUnknown)
	}
	if p, ok := c.(*ProgressBatch); ok {
		if err := p.parse(body[3:]); err != nil {
			return nil, err
		}
		return c, nil
	}
	if err := strict(body[3:], c); err != nil {
		return nil, fmt.Errorf("decoding command type %d version %d: %w", b[1], b[2], err)
	}
	if f, ok := c.(*FeatureRaise); ok && f.Level > FeatureLevel {
		return nil, fmt.Errorf("decoding feature level %d, this build knows %d: %w", f.Level, FeatureLevel, ErrUnknown)
	}
	return c, nil
}

// strict decodes JSON of which every field must be known: one that a newer
// node wrote would be dropped here and be kept there. Errors are ErrCorrupt and
// ErrUnknown, wrapped.
func strict(j []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(j))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, end := d.Token(); end == io.EOF {
			return nil
		}
		err = errors.New("more than one value")
	}
	kind := ErrCorrupt
	if errors.Is(err, ErrUnknown) || strings.HasPrefix(err.Error(), "json: unknown field ") {
		kind = ErrUnknown // encoding/json has no type for this error; a test knows its words
	}
	return fmt.Errorf("%w: %w", err, kind)
}
