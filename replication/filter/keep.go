package filter

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"sluice/kafka/record"
)

// Bounds of an expression and of what it may cost on one record, in CEL's units
// of about one step each.
const (
	maxExpression = 4_000 // characters
	maxNested     = 40
	maxCost       = 1_000_000
)

// What an expression may name.
const (
	nameKey       = "key"
	nameValue     = "value"
	nameHeaders   = "headers"
	nameTimestamp = "timestamp"
)

// keep says which records are kept.
type keep struct {
	program cel.Program
	deletes cel.Program // with a value that is not known; nil: the expression names no value
}

// compileKeep compiles an expression.
func compileKeep(expression string) (*keep, error) {
	if len(expression) > maxExpression {
		return nil, fmt.Errorf("longer than %d characters", maxExpression)
	}
	env, err := cel.NewEnv(
		cel.Variable(nameKey, cel.NullableType(cel.StringType)), cel.Variable(nameValue, cel.DynType),
		cel.Variable(nameHeaders, cel.MapType(cel.StringType, cel.ListType(cel.StringType))), cel.Variable(nameTimestamp, cel.TimestampType),
		cel.CrossTypeNumericComparisons(true), cel.ParserRecursionLimit(maxNested),
	)
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, errors.New(firstIssue(issues))
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("its value is of type %s; it has to be true for the records to keep, else false", t)
	}
	k := &keep{}
	if k.program, err = env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost)); err != nil {
		return nil, fmt.Errorf("preparing it: %w", err)
	}
	if names(ast.NativeRep(), nameValue) {
		if k.deletes, err = env.Program(ast, cel.EvalOptions(cel.OptPartialEval), cel.CostLimit(maxCost)); err != nil {
			return nil, fmt.Errorf("preparing it: %w", err)
		}
	}
	return k, nil
}

// firstIssue is the first thing that is wrong, with its place in the expression.
func firstIssue(issues *cel.Issues) string {
	first := issues.Errors()[0]
	return fmt.Sprintf("%s (line %d, column %d)", strings.TrimSpace(first.Message), first.Location.Line(), first.Location.Column()+1)
}

// names reports whether an expression names a variable.
func names(ast *celast.AST, variable string) bool {
	found := false
	celast.PostOrderVisit(ast.Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		found = found || e.Kind() == celast.IdentKind && e.AsIdent() == variable
	}))
	return found
}

// facts are a record as an expression sees it. They implement cel.Activation.
type facts struct {
	record  *record.Record
	reading reading
	headers ref.Val // nil: not asked for yet
}

// ResolveName implements cel.Activation.
func (f *facts) ResolveName(name string) (any, bool) {
	r := f.record
	switch name {
	case nameKey:
		if r.Key == nil {
			return types.NullValue, true
		}
		return readable(r.Key), true
	case nameValue:
		return node(r.Value, &f.reading), true
	case nameHeaders:
		if f.headers == nil {
			f.headers = headersOf(r)
		}
		return f.headers, true
	case nameTimestamp:
		return types.Timestamp{Time: time.UnixMilli(r.Timestamp).UTC()}, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (f *facts) Parent() interpreter.Activation { return nil }

// readable is text; what is not UTF-8 of it reads as U+FFFD, so that it is equal
// to no text that one can write.
func readable(b []byte) types.String { return types.String(bytes.ToValidUTF8(b, []byte("\ufffd"))) }

// headersOf are the values of each header in their order; null reads as empty.
func headersOf(r *record.Record) ref.Val {
	all := map[string][]string{}
	for k, v := range r.Headers() {
		name := string(readable(k))
		all[name] = append(all[name], string(readable(v)))
	}
	out := map[ref.Val]ref.Val{}
	for name, values := range all { // the order is no matter: each is put under its name
		out[types.String(name)] = types.NewStringList(types.DefaultTypeAdapter, values)
	}
	return types.NewRefValMap(types.DefaultTypeAdapter, out)
}

// keeps reports whether a record is kept; why not empty: that cannot be said.
//
// A record without a value says that its key is deleted. Where the expression
// names the value, such a record is dropped only if it would be whatever the
// value was: else a copied record would outlive its deletion.
func (k *keep) keeps(f *facts) (kept bool, why string) {
	if k.deletes != nil {
		if f.record.Value == nil {
			return k.keepsDelete(f)
		}
		if why := checkJSON(f.record.Value); why != "" {
			return false, notJSON + why
		}
	}
	out, _, err := k.program.Eval(f)
	return verdict(out, err, f)
}

func (k *keep) keepsDelete(f *facts) (kept bool, why string) {
	vars, err := cel.PartialVars(f, cel.AttributePattern(nameValue))
	if err != nil {
		return false, "the expression cannot be asked about a record without a value"
	}
	out, _, err := k.deletes.Eval(vars)
	if err == nil && types.IsUnknown(out) {
		return true, ""
	}
	return verdict(out, err, f)
}

const notJSON = "the value is not JSON: "

// verdict is what an expression gave, or why it gave none: in words that hold
// nothing of the record.
func verdict(out ref.Val, err error, f *facts) (kept bool, why string) {
	own, isOwn := errors.AsType[reason](err)
	cancelled, isCancelled := errors.AsType[interpreter.EvalCancelledError](err)
	switch {
	case f.reading.over, isCancelled && cancelled.Cause == interpreter.CostLimitExceeded:
		why = string(errTooCostly)
	case isOwn:
		why = string(own)
	case err != nil && strings.HasPrefix(err.Error(), "no such key"):
		why = "a field or header that it names is not there (has() tells)"
	case err != nil && strings.HasPrefix(err.Error(), "no such overload"):
		why = "what it names is of another type than it expects"
	case err != nil:
		why = "it fails on this record"
	default:
		if b, ok := out.(types.Bool); ok {
			return bool(b), ""
		}
		why = "it gives something else than true or false"
	}
	return false, "the expression gives no answer: " + why
}
