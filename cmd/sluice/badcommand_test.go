package main

import "strings"

func badCommands() []badInput {
	out := []badInput{
		typed("no verb", []string{}...),
		typed("a verb that is misspelt", "statsu"),
		typed("a verb that nobody knows", "frobnicate"),
		typed("a verb of kubectl", "link", "rollout", "us-eu"),
		typed("a noun without a verb", "link"),
		typed("an empty verb", ""),
		typed("a flag that nobody knows", "status", "--wacth"),
		typed("a short flag that nobody knows", "status", "-x"),
		typed("a flag without its value", "status", "--address"),
		typed("a flag with a value too many", "status", "--watch=perhaps"),
		typed("a format that nobody knows", "status", "-o", "xml"),
		typed("a colour that nobody knows", "status", "--color", "sometimes"),
		typed("a timeout that is no duration", "status", "--timeout", "10"),
		typed("a timeout of less than nothing", "status", "--timeout", "-5s"),
		typed("an index that is no number", "status", "--min-index", "latest"),
		typed("an argument too many", "status", "us-eu"),
		typed("watching every nothing", "status", "--watch", "--every", "0s"),
		typed("watching until healthy", "status", "--watch", "--exit-when-healthy"),
		typed("fewer tasks than none", "status", "--tasks", "-5"),
		typed("fewer events than none", "status", "--events", "-1"),
		typed("an address with a scheme that is none", "status", "--address", "ftp://n1.example"),
		typed("an address without a port", "status", "--address", "127.0.0.1"),
		typed("an address with a port that is none", "status", "--address", "127.0.0.1:99999"),
		typed("an empty address in a list", "status", "--address", "127.0.0.1:1,,"),
		typed("an address of nobody", "status", "--address", "127.0.0.1:1"),
		typed("a token file that is not there", "status", "--token-file", "none"),
		typed("a token file that is a folder", "status", "--token-file", "."),
		typed("an authority that is not there", "status", "--ca-file", "none.pem"),
		typed("a link that is not there", "link", "describe", "us-uk"),
		typed("no link", "link", "pause"),
		typed("two links", "link", "pause", "a", "b"),
		typed("two links with a comma", "link", "pause", "a,b"),
		typed("an empty link", "link", "pause", ""),
		typed("a link with a slash", "link", "describe", "a/b"),
		typed("a link with dots", "link", "describe", ".."),
		typed("no way out chosen", "link", "resolve", "us-eu"),
		typed("two ways out", "link", "resolve", "us-eu", "--recopy", "--continue"),
		typed("a partition without its topic", "link", "retry", "us-eu", "--partition", "1"),
		typed("a partition of less than nothing", "link", "retry", "us-eu", "--topic", "orders", "--partition", "-1"),
		typed("a partition in words", "link", "retry", "us-eu", "--topic", "orders", "--partition", "one"),
		typed("a topic that is not there", "link", "retry", "us-eu", "--topic", "orderz"),
		typed("deleting with nobody to ask", "link", "delete", "us-eu"),
		typed("a comparison of nothing", "link", "verify"),
		typed("a comparison of two", "link", "verify", "us-eu", "--id", "v1"),
		typed("ending no comparison", "link", "verify", "us-eu", "--cancel"),
		typed("listing fewer differences than none", "link", "verify", "us-eu", "--max-faults", "-1"),
		typed("get without a kind", "get"),
		typed("a kind that nobody knows", "get", "topic"),
		typed("a kind with too many names", "get", "link", "a", "b"),
		typed("a slash without a name", "get", "link/"),
		typed("a name that is not there", "get", "link/none"),
		typed("one of two names that is not there", "get", "kafka", "us,none"),
		typed("exporting what apply does not take", "export", "tasks"),
		typed("exporting a table", "export", "all", "-o", "tsv"),
		typed("events since a word", "events", "--since", "yesterday"),
		typed("events since less than nothing", "events", "--since", "-1h"),
		typed("events since before the world", "events", "--since", "200000d"),
		typed("events since a time to come", "events", "--since", "2999-01-01T00:00:00Z"),
		typed("events of a link that is not there", "events", "--link", "none"),
		typed("fewer events than one", "events", "--limit", "0"),
		typed("more events than there can be", "events", "--limit", "99999999"),
		typed("apply without a file", "apply"),
		typed("apply of a file that is not there", "apply", "-f", "none.yaml"),
		typed("apply of a folder without files", "apply", "-f", "."),
		typed("apply with a file as an argument", "apply", "links.yaml"),
		typed("apply of an empty stdin", "apply", "-f", "-"),
		typed("an operation that is no number", "operation", "describe", "first"),
		typed("an operation that is not there", "operation", "describe", "99"),
		typed("a node that is not there", "cluster", "remove", "n9", "--yes"),
		typed("joining nobody", "cluster", "join"),
		typed("joining an address without a port", "cluster", "join", "n1.example"),
		typed("leaving with nobody to ask", "cluster", "leave"),
		typed("a certificate without hosts", "cert", "node", "n1"),
		typed("a certificate without a name", "cert", "node"),
		typed("a certificate with a bad name", "cert", "node", "a/b", "--host", "x"),
		typed("a certificate with a host that is none", "cert", "node", "n1", "--host", "n 1"),
		typed("a certificate without an authority", "cert", "node", "n1", "--host", "n1.example"),
		typed("a renewal of nobody's certificate", "cert", "renew"),
		typed("a renewal with a bad name", "cert", "renew", "../n1"),
		typed("a renewal without an authority", "cert", "renew", "n1"),
		typed("a shell that nobody knows", "generate", "completion", "tcsh"),
		typed("proposing without files", "balance", "propose"),
		typed("a node without node.yaml", "server"),
		typed("validating without node.yaml", "server", "validate"),
		typed("printing without node.yaml", "server", "print-config"),
		typed("origins in JSON", "server", "print-config", "--origin", "-o", "json"),
		typed("a demo with an argument", "demo", "fast"),
	}
	return append(out, badProposals()...)
}

// badProposals are bad flags and files of `sluice balance propose`.
func badProposals() []badInput {
	files := map[string]string{
		"b.csv": "1,a,1000,0,0,ok\n2,b,1000,0,0,ok\n", "p.csv": "orders,0,1,10,1,1\n",
	}
	with := func(name string, args ...string) badInput {
		return badInput{name, files, append(strings.Fields("balance propose --brokers-file b.csv --parts-file p.csv"), args...)}
	}
	file := func(name, broken, text string) badInput {
		b := with(name)
		b.files = map[string]string{"b.csv": files["b.csv"], "p.csv": files["p.csv"], broken: text}
		return b
	}
	return []badInput{
		with("a goal that nobody knows", "--goal", "speed"),
		with("a band that is no part", "--band", "wide"),
		with("a band of less than nothing", "--band", "-1%"),
		with("a disk limit above all", "--disk-limit", "150%"),
		with("bytes that are no size", "--max-bytes", "lots"),
		with("bytes of less than nothing", "--max-bytes", "-1GB"),
		with("a throttle that is none", "--throttle", "fast"),
		with("excluding what is not there", "--exclude", "none"),
		with("an expression that is none", "--pin", "/(/"),
		file("brokers with a field too few", "b.csv", "1,a,1000\n"),
		file("a broker that is no number", "b.csv", "one,a,1000,0,0,ok\n"),
		file("a broker with a state that nobody knows", "b.csv", "1,a,1000,0,0,fine\n"),
		file("a partition on an unknown broker", "p.csv", "orders,0,9,10,1,1\n"),
		file("no brokers at all", "b.csv", ""),
		file("sizes in words", "p.csv", "orders,0,1,large,1,1\n"),
	}
}
