package fsm

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func backup(t testing.TB, v *View) []byte {
	var b bytes.Buffer
	if err := WriteBackup(&b, BackupHead{SavedAt: 7, Node: "n1", Version: "v"}, v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestGoldenBackup: what was ever saved can be restored.
func TestGoldenBackup(t *testing.T) {
	got := backup(t, succeeding(t).View())
	want := golden(t, "backup.v1", got)
	if !bytes.Equal(got, want) {
		t.Errorf("written\n%s\nreleased\n%s", got, want)
	}
	head, s, err := ReadBackup(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	if head.Index != s.View().Index || head.ClusterID != "c2" || head.SavedAt != 7 || head.Node != "n1" {
		t.Errorf("head %+v", head)
	}
	if !bytes.Equal(backup(t, s.View()), want) {
		t.Error("read and written again it is another one")
	}
}

// TestDamagedBackupIsRefused: whatever is missing or changed, nothing is made of
// it.
func TestDamagedBackupIsRefused(t *testing.T) {
	whole := backup(t, succeeding(t).View())
	for at := range whole {
		cut, changed := whole[:at], bytes.Clone(whole)
		changed[at] ^= 1
		for _, b := range [][]byte{cut, changed, append(bytes.Clone(whole), whole[at])} {
			if _, _, err := ReadBackup(bytes.NewReader(b)); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnknown) {
				t.Fatalf("at %d: %v", at, err)
			}
		}
	}
	later := strings.Replace(string(whole), backupMagic, "sluice-backup 2\n", 1)
	if _, _, err := ReadBackup(strings.NewReader(later)); !errors.Is(err, ErrUnknown) {
		t.Errorf("of a later version: %v", err)
	}
}
