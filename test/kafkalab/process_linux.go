package kafkalab

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dieWithParent has the kernel kill the child when this process ends, however it ends.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// clockTick is the unit of the times in /proc/PID/stat: USER_HZ, 100 on every Linux that Go runs on
// (proc(5)). Readings are thus 10 ms coarse.
const clockTick = 10 * time.Millisecond

// Usage reads what the process pid has used so far from /proc. It fails where there is no such process.
func Usage(pid int) (ProcessUsage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ProcessUsage{}, fmt.Errorf("reading CPU time: %w", err)
	}
	// The command's name in brackets may hold anything; utime and stime are fields 14 and 15.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return ProcessUsage{}, fmt.Errorf("reading CPU time: %d fields in stat", len(fields))
	}
	var u ProcessUsage
	for _, f := range []struct {
		text string
		to   *time.Duration
	}{{fields[11], &u.User}, {fields[12], &u.System}} {
		ticks, err := strconv.ParseInt(f.text, 10, 64)
		if err != nil {
			return ProcessUsage{}, fmt.Errorf("reading CPU time: %w", err)
		}
		*f.to = time.Duration(ticks) * clockTick
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return ProcessUsage{}, fmt.Errorf("reading memory: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "VmRSS:":
			u.RSS, _ = strconv.ParseInt(f[1], 10, 64)
			u.RSS <<= 10
		case "VmHWM:":
			u.MaxRSS, _ = strconv.ParseInt(f[1], 10, 64)
			u.MaxRSS <<= 10
		}
	}
	return u, nil
}
