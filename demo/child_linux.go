package demo

import "syscall"

// childAttr lets the nodes die with the demo, however it ends, and keeps the
// terminal's Ctrl-C from them: the demo ends them itself.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
