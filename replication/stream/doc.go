// Package stream is the shell of the copy path: it runs the copy tasks that
// this node owns. From the task to the bytes:
//
//   - Runner starts a Stream for each copy task.
//   - Stream is one goroutine. It gathers what recovery.Next asks for, carries
//     out the step that is decided, and, while a pipe is open, waits for its
//     end and looks around.
//   - logs reads both sides of a stream.
//   - progress is what is acknowledged and not in the facts yet.
//
// What to do is decided in package recovery, how batches go in pipe and wire.
// It knows the control plane only as task.Control.
package stream
