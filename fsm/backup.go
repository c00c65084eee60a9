package fsm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
)

// A backup is a magic line, a line of JSON that says where it comes from, a
// snapshot as Raft keeps it, and a line with the SHA-256 of all before.
const (
	backupName  = "sluice-backup "
	backupMagic = backupName + "1\n"
)

// BackupHead says where a backup comes from.
type BackupHead struct {
	ClusterID string `json:"clusterId"`
	Index     uint64 `json:"index"`
	SavedAt   int64  `json:"savedAt"` // unix ms, the clock of the node that wrote it
	Node      string `json:"node"`    // its name
	Version   string `json:"version"` // its build
}

// WriteBackup writes the View as a backup; of head it sets what the View tells.
func WriteBackup(w io.Writer, head BackupHead, v *View) error {
	head.ClusterID, head.Index = v.ClusterID, v.Index
	line, err := json.Marshal(head)
	if err != nil {
		return fmt.Errorf("writing a backup: %w", err)
	}
	sum := sha256.New()
	all := io.MultiWriter(w, sum)
	if _, err = fmt.Fprintf(all, "%s%s\n", backupMagic, line); err == nil {
		err = WriteSnapshot(all, v)
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "%x\n", sum.Sum(nil))
	}
	if err != nil {
		return fmt.Errorf("writing a backup: %w", err)
	}
	return nil
}

// ReadBackup reads what WriteBackup wrote, to its end. One that is damaged or cut
// off gives ErrCorrupt, one of a later version ErrUnknown, both wrapped.
func ReadBackup(r io.Reader) (head BackupHead, state *State, err error) {
	data, err := io.ReadAll(r)
	if err == nil {
		head, state, err = readBackup(data)
	}
	if err != nil {
		return head, nil, fmt.Errorf("reading a backup: %w", err)
	}
	return head, state, nil
}

func readBackup(data []byte) (head BackupHead, state *State, err error) {
	magic, rest, _ := bytes.Cut(data, []byte("\n"))
	switch {
	case !bytes.HasPrefix(magic, []byte(backupName)):
		return head, nil, fmt.Errorf("it is none of a Sluice cluster: %w", ErrCorrupt)
	case string(magic)+"\n" != backupMagic:
		return head, nil, fmt.Errorf("a later version of sluice wrote it: %w", ErrUnknown)
	}
	end := len(data) - hex.EncodedLen(sha256.Size) - 1
	if end < len(backupMagic) || string(data[end:]) != fmt.Sprintf("%x\n", sha256.Sum256(data[:end])) {
		return head, nil, fmt.Errorf("it is cut off or damaged, its checksum differs: %w", ErrCorrupt)
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	if err := strict(line, &head); err != nil {
		return head, nil, err
	}
	if state, err = ReadSnapshot(bytes.NewReader(data[len(backupMagic)+len(line)+1 : end])); err != nil {
		return head, nil, err
	}
	if v := state.View(); head.ClusterID != v.ClusterID || head.Index != v.Index {
		return head, nil, fmt.Errorf("its head is not that of its facts: %w", ErrCorrupt)
	}
	return head, state, nil
}
