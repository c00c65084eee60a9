package manifest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// CheckAddress reports what is wrong with the address of somebody who is to be
// dialled: host:port with a port from 1 to 65535, IPv6 in brackets.
func CheckAddress(address string) error {
	if address == "" {
		return errors.New("is empty; write host:port")
	}
	if strings.Contains(address, "@") { // it is not shown: a password may stand in it
		return errors.New("holds a user or a password before an @; write host:port alone")
	}
	if scheme, rest, ok := strings.Cut(address, "://"); ok {
		return fmt.Errorf("%q is not host:port: leave %s:// out, as in %q", address, scheme, rest)
	}
	if strings.Contains(address, ",") {
		return fmt.Errorf("%q is not host:port: several are items of a list, [a:1, b:2]", address)
	}
	if ip, err := netip.ParseAddr(address); err == nil && ip.Is6() {
		return fmt.Errorf("%q is not host:port: IPv6 is written in brackets, with the port behind them, as in \"[::1]:9092\"", address)
	}
	host, port, err := net.SplitHostPort(address)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not host:port", address)
	case host == "":
		return fmt.Errorf("%q is not host:port: the host is missing", address)
	case strings.ContainsAny(host, " \t\r\n/?#"):
		return fmt.Errorf("%q is not host:port: no host is called %q", address, host)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%q is not host:port: the port is a number from 1 to 65535", address)
	}
	return nil
}
