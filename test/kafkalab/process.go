package kafkalab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one JVM of the lab. Methods may be called at any time, also after its end.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and was waited for
	err  error         // of Wait; read after done

	mu     sync.Mutex
	paused bool
}

// startProcess starts java with args, its output appended to logPath. The child dies with this
// process: Linux ties that to the thread that started it, so the thread is kept until the child ends.
func startProcess(name, dir, logPath string, args []string) (*process, error) {
	logFile, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	defer logFile.Close()
	// Native libraries are unpacked into the JVM's temporary folder, and stay there when it is killed.
	cmd := exec.Command("java", append([]string{"-Djava.io.tmpdir=" + dir}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, logFile, logFile
	cmd.SysProcAttr = dieWithParent()
	p := &process{name: name, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal sends sig; a process that has ended already is no error.
func (p *process) signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.cmd.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sending %v to %s: %w", sig, p.name, err)
	}
	switch sig {
	case syscall.SIGSTOP:
		p.paused = true
	case syscall.SIGCONT:
		p.paused = false
	}
	return nil
}

func (p *process) isPaused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused
}

// kill ends the process with SIGKILL and waits for its end.
func (p *process) kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// stop ends the process with SIGTERM and waits; when ctx ends first it is killed, with an error.
func (p *process) stop(ctx context.Context) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stopping %s: %w", p.name, context.Cause(ctx)), p.kill())
	}
}

// ProcessUsage is what a process has used of the machine so far.
type ProcessUsage struct {
	User   time.Duration // CPU in user mode, all threads
	System time.Duration // CPU in the kernel, all threads
	RSS    int64         // resident bytes now
	MaxRSS int64         // most resident bytes ever
}

// CPU is user and system time together.
func (u ProcessUsage) CPU() time.Duration { return u.User + u.System }

// Sub returns the CPU time used since the earlier reading; the memory figures are u's.
func (u ProcessUsage) Sub(earlier ProcessUsage) ProcessUsage {
	u.User -= earlier.User
	u.System -= earlier.System
	return u
}

// tail returns the last n lines of b.
func tail(b []byte, n int) string {
	lines := strings.Split(strings.TrimRight(string(bytes.ToValidUTF8(b, nil)), "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
