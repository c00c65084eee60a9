package manifest

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// scalarText is the text of a scalar as it was written.
func scalarText(n ast.Node) (string, bool) {
	switch x := n.(type) {
	case *ast.StringNode:
		return x.Value, true
	case *ast.LiteralNode:
		return x.Value.Value, true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.MappingNode:
		if len(x.Values) == 1 && x.Start.Type != token.MappingStartType {
			return hostPort(x.Values[0])
		}
	case *ast.MappingValueNode:
		return hostPort(x)
	}
	return "", false
}

// hostPort reads host:port in a list within braces as the one text that it is:
// goccy/go-yaml v1.19.2 makes a key and a value of it there, though no space
// follows the colon.
func hostPort(kv *ast.MappingValueNode) (string, bool) {
	key, colon, value := kv.Key.GetToken(), kv.Start, kv.Value.GetToken()
	switch kv.Value.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode:
	default:
		return "", false
	}
	if key.Type != token.StringType || value.Type == token.DoubleQuoteType || value.Type == token.SingleQuoteType ||
		key.Position.Line != value.Position.Line || key.Position.Column+len([]rune(key.Value)) != colon.Position.Column ||
		colon.Position.Column+1 != value.Position.Column {
		return "", false
	}
	return key.Value + ":" + value.Value, true
}

func setScalar(v reflect.Value, text string) error {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration like 500ms, 10s or 2h", text)
		}
		v.SetInt(int64(d))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("expected true or false, found %q", text)
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number that fits", text)
		}
		v.SetInt(i)
	default:
		return fmt.Errorf("the decoder does not know the type %s", v.Type())
	}
	return nil
}
