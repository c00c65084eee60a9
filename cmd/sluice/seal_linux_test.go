package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSealedMemoryIsClosed to core files and to other processes of the same
// user, but for root's, and open without the seal.
func TestSealedMemoryIsClosed(t *testing.T) {
	const asked = "SLUICE_TEST_SEAL"
	if how := os.Getenv(asked); how != "" { // this is the process that is looked into
		if how == "sealed" {
			if err := seal(); err != nil {
				t.Fatal(err)
			}
		}
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("limit %d\n", limit.Cur)
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // until the other has seen enough
		return
	}
	for _, how := range []string{"open", "sealed"} {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestSealedMemoryIsClosed$")
		cmd.Dir, cmd.Env, cmd.SysProcAttr = "/", []string{asked + "=" + how, "TMPDIR=/tmp"}, nobody()
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Errorf("%s: %q, %v", how, line, err)
		}
		if how == "sealed" && line != "limit 0\n" {
			t.Errorf("sealed, and the size of core files has the %s", line)
		}
		for _, file := range []string{"environ", "mem", "maps"} {
			err := peek(fmt.Sprintf("/proc/%d/%s", cmd.Process.Pid, file))
			if refused := err != nil; refused != (how == "sealed") {
				t.Errorf("%s: another process of its user reads %s: %v", how, file, err)
			}
		}
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", how, err)
		}
	}
}

// nobody is a user without rights, where this process is root's, and else its
// own.
func nobody() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		attr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	return attr
}

// peek opens a file of /proc as another process of that user.
func peek(file string) error {
	cmd := exec.Command("sh", "-c", `: <"$0"`, file)
	cmd.Dir, cmd.SysProcAttr = "/", nobody()
	out, err := cmd.CombinedOutput()
	if _, ran := errors.AsType[*exec.ExitError](err); ran && !strings.Contains(string(out), "ermission denied") {
		return nil // it was let in
	}
	return err
}
