package reason

import (
	"maps"
	"slices"

	"sluice/fsm"
)

// Advice that several rows give.
const (
	passes  = "nothing; it passes by itself"
	nothing = "nothing"
	past    = "`sluice link resolve LINK --continue` skips the batch and records the gap; `sluice link retry LINK` tries it again"
)

// table holds every code once. Streams that wait for a person go on with
// `sluice link retry` or `sluice link resolve`.
var table = map[fsm.Code]Row{
	// What stops a stream: the source.
	fsm.CodePositionLost: {
		Severity: Stopped, Side: Source, Acts: AtSource, Policy: true, Batch: true,
		Meaning: "the source's retention took records before they were copied",
		Advice:  "raise the source's retention; `sluice link resolve LINK --continue` goes on at what is left, `--recopy` begins anew in an emptied target",
	},
	fsm.CodeSourceRecreated: {
		Severity: Stopped, Side: Source, Acts: AtSource, Policy: true,
		Meaning: "the source topic was deleted and created again: its offsets begin anew",
		Advice:  "`sluice link resolve LINK --continue` copies the new topic behind the old records, `--recopy` begins anew in an emptied target",
	},
	fsm.CodeSourceDeleted: {
		Severity: Stopped, Side: Source, Acts: AtSource,
		Meaning: "the source topic is gone",
		Advice: "if that was meant, `sluice link resolve LINK --end` ends its streams (the target keeps its records; the link's onSourceDeleted: end does so by itself); " +
			"else create the topic again, the stream looks for it",
	},
	fsm.CodeSourceTruncated: {
		Severity: Stopped, Side: Source, Acts: AtSource, Policy: true,
		Meaning: "the source lost records that are copied already: its log went back or another way",
		Advice:  "find out which broker became leader uncleanly; `sluice link resolve LINK --continue` goes on at the source's new records, `--recopy` begins anew in an emptied target",
	},
	fsm.CodeCorruptBatch: {
		Severity: Stopped, Side: Source, Acts: AtSource, Policy: true, Batch: true,
		Meaning: "a batch of the source is damaged",
		Advice:  past,
	},
	fsm.CodeUnsupportedFormat: {
		Severity: Stopped, Side: Source, Acts: AtSource, Batch: true,
		Meaning: "a batch has a message format that is not known, of a later Kafka than Sluice knows",
		Advice:  past,
	},

	// What stops a stream: the target.
	fsm.CodeTargetRecreated: {
		Severity: Stopped, Side: Target, Acts: AtTarget, Policy: true,
		Meaning: "the target topic was deleted and created again: what was copied is gone",
		Advice:  "`sluice link resolve LINK --recopy` copies all again, `--continue` only what is new",
	},
	fsm.CodeTargetDeleted: {
		Severity: Stopped, Side: Target, Acts: AtTarget,
		Meaning: "the target topic is gone",
		Advice: "`sluice link resolve LINK --recopy` creates the topic and copies all again, `--continue` only what is new; " +
			"to copy it no more, take it out of the link's topics, which ends its streams",
	},
	fsm.CodeTargetTruncated: {
		Severity: Stopped, Side: Target, Acts: AtTarget, Policy: true,
		Meaning: "the target lost so many records that none of the stream's is left to tell the position from",
		Advice:  "find out which broker became leader uncleanly; `sluice link resolve LINK --continue` goes on at the last known position, `--recopy` begins anew in an emptied target",
	},
	fsm.CodeForeignWriter: {
		Severity: Stopped, Side: Target, Acts: AtTarget, Policy: true,
		Meaning: "somebody else writes to the target topic",
		Advice: "let nobody else write there, or choose another rename, or exclude the topic; " +
			"then `sluice link resolve LINK --continue` goes on behind the other records, `--recopy` begins anew in an emptied target",
	},
	fsm.CodeNotEmpty: {
		Severity: Stopped, Side: Target, Acts: AtTarget,
		Meaning: "the target topic holds records that are not from this link",
		Advice:  "delete or empty the target topic, choose another rename, or exclude the topic",
	},
	fsm.CodePartitionMismatch: {
		Severity: Stopped, Side: Target, Acts: AtTarget,
		Meaning: "the target topic exists with another number of partitions, or its name cannot be one",
		Advice:  "delete the target topic so that Sluice creates it, choose another rename, or exclude the topic",
	},
	fsm.CodeTopicRefused: {
		Severity: Stopped, Side: Target, Acts: AtTarget,
		Meaning: "the target's brokers refused to create or to change the topic",
		Advice:  "choose another rename, or exclude the topic, or change what the message names",
	},
	fsm.CodeRecordTooLarge: {
		Severity: Stopped, Side: Target, Acts: AtTarget, Policy: true, Batch: true,
		Meaning: "the target's brokers refuse a single record as too large",
		Advice:  "raise max.message.bytes of the target topic, then `sluice link retry LINK`; `sluice link resolve LINK --continue` skips the record and records the gap",
	},
	fsm.CodeTimestampRefused: {
		Severity: Stopped, Side: Target, Acts: AtTarget, Policy: true, Batch: true,
		Meaning: "the target's brokers refuse a batch for its timestamps",
		Advice:  "widen message.timestamp.before.max.ms and .after.max.ms of the target topic, then `sluice link retry LINK`; `sluice link resolve LINK --continue` skips the batch and records the gap",
	},
	fsm.CodeKeylessRecord: {
		Severity: Stopped, Side: Target, Acts: AtTarget, Policy: true, Batch: true,
		Meaning: "the target topic is compacted and refuses a batch that holds records without a key",
		Advice: "set cleanup.policy of the target topic to the source's, then `sluice link retry LINK`; " +
			"`sluice link resolve LINK --continue` skips the batch and records the gap",
	},

	// What stops a stream: Sluice's own bounds and promises.
	fsm.CodeOverBudget: {
		Severity: Stopped, Side: Cluster, Acts: AtSluice, Policy: true, Batch: true,
		Meaning: "a batch needs more memory than the node may use",
		Advice:  "raise memory in node.yaml, then `sluice link retry LINK`; `sluice link resolve LINK --continue` skips the batch and records the gap",
	},
	fsm.CodeIdentityLost: {
		Severity: Stopped, Side: Both, Acts: AtSluice,
		Meaning: "the link promises identical offsets and they cannot be kept here",
		Advice:  "`sluice link resolve LINK --continue` goes on with translated offsets, `--recopy` begins anew in an emptied target",
	},
	fsm.CodePositionUnknown: {
		Severity: Stopped, Side: Target, Acts: AtSluice,
		Meaning: "the target holds more than is known of the stream, and how much of it is not to be seen in both logs any more",
		Advice:  "`sluice link resolve LINK --continue` goes on at the last position that is known and may copy again as many records as the stop says, `--recopy` begins anew in an emptied target",
	},
	fsm.CodeUnparseable: {Severity: Stopped, Side: Source, Acts: AtSource, Batch: true,
		Meaning: "the link's filter cannot be applied to a record: its value is not JSON, or the expression gives no answer",
		Advice:  "`sluice link resolve LINK --continue` leaves the record out; to have all such records left out, set filter.onUnparseable: drop, apply, then `sluice link retry LINK`"},

	// What is tried again until somebody puts it right.
	fsm.CodeTopicMissing: {
		Severity: Waiting, Side: Source, Acts: AtSource,
		Meaning: "the link names a topic that the source does not have, or that its user may not see",
		Advice:  "create it, or give the link's user DESCRIBE on it: it is copied from its start then; or take the name out of the link's topics",
	},
	fsm.CodeUnauthorized: {
		Severity: Waiting, Side: Both, Acts: AtEither,
		Meaning: "a Kafka cluster denies a right that the link needs",
		Advice:  "give its user the right that is named",
	},
	fsm.CodeAuthenticationFailed: {
		Severity: Waiting, Side: Both, Acts: AtEither,
		Meaning: "a Kafka cluster does not accept the credentials",
		Advice:  "check its sasl user and password, and its tls certificates",
	},
	fsm.CodeUnreachable: {
		Severity: Waiting, Side: Both, Acts: AtEither,
		Meaning: "a broker does not answer, or a partition has no leader",
		Advice:  "is it up, and can this node reach the address that it advertises?",
	},
	fsm.CodeWrongCluster: {
		Severity: Waiting, Side: Both, Acts: AtEither,
		Meaning: "another Kafka cluster answers at the address than the one that was pinned",
		Advice:  "correct the bootstrap addresses; for a new cluster declare it under a new name and link that",
	},
	fsm.CodeClaimed: {
		Severity: Stopped, Side: Target, Acts: AtSluice,
		Meaning: "the link is another Sluice cluster's, or was of one that is lost: nothing is copied here",
		Advice:  "delete it there; if that Sluice cluster is lost for good and none of its nodes runs any more, `sluice link adopt LINK`",
	},
	fsm.CodeQuotaThrottled: {
		Severity: Working, Side: Both, Acts: AtEither,
		Meaning: "brokers slow the link down by a quota",
		Advice:  "nothing while the lag stays as small as you want it; else raise the quota of the link's user; nothing is lost",
	},
	fsm.CodeFilterUnready: {Severity: Waiting, Side: Cluster, Acts: AtSluice,
		Meaning: "a node cannot apply the link's filter, most likely because it cannot read the secret that fields are hashed with: it copies nothing of the link",
		Advice:  "put the secret that is named on every node, the same on all"},
	fsm.CodeNotEnoughReplicas: {
		Severity: Waiting, Side: Target, Acts: AtTarget,
		Meaning: "too few replicas of the target partition are in sync, or there are too few brokers for them",
		Advice:  "bring the target's brokers back, or lower min.insync.replicas or the replication factor",
	},
	fsm.CodeLostRace: {
		Severity: Waiting, Side: Cluster, Acts: Sluice, Event: true,
		Meaning: "a node met writes of its successor and stopped: two nodes thought that they own the stream",
		Advice:  passes,
	},
	fsm.CodeUnreported: {
		Severity: Waiting, Side: Cluster, Acts: AtSluice,
		Meaning: "the node that owns the task is silent",
		Advice:  "look at that node and the network to it; another one takes the task over",
	},
	fsm.CodeNodeDead: {
		Severity: Waiting, Side: Cluster, Acts: AtSluice, Event: true,
		Meaning: "a node was silent for too long: others take its tasks over",
		Advice:  "look at that node and the network to it",
	},
	fsm.CodeClusterRecovered: {
		Severity: Waiting, Side: Cluster, Acts: AtSluice, Event: true,
		Meaning: "this Sluice cluster goes on for one that was lost, with facts that may be older than what that one copied",
		Advice:  "make sure that no node of the lost one runs, then `sluice link adopt LINK` for each link",
	},
	fsm.CodeTargetLostAcked: {
		Severity: Waiting, Side: Target, Acts: AtTarget, Event: true,
		Meaning: "the target lost records that it had acknowledged; they are copied again",
		Advice:  "find out which broker became leader uncleanly; raise acks, min.insync.replicas or the replication factor there",
	},
	fsm.CodeTargetLost: {
		Severity: Waiting, Side: Target, Acts: AtTarget,
		Meaning: "the target removed copied records that the source still has, by its retention or by hand",
		Advice: "set retention and cleanup.policy of the target topic as the source has them; to have the records again, delete the target topic and " +
			"then `sluice link resolve LINK --recopy`; else it ends when the source has removed them too",
	},

	// What goes on by itself.
	fsm.CodeUnassigned: {
		Severity: Working, Side: Cluster, Acts: Sluice,
		Meaning: "no node owns the task yet",
		Advice:  "nothing while there is a leader",
	},
	fsm.CodeStarting: {
		Severity: Working, Side: None, Acts: Sluice,
		Meaning: "an owner finds out where the stream stands",
		Advice:  passes,
	},
	fsm.CodeWaiting: {
		Severity: Working, Side: Cluster, Acts: Sluice,
		Meaning: "waits until it is sure that nobody else can still write: for a leader's word, or for an earlier request to die",
		Advice:  passes,
	},
	fsm.CodeHandover: {
		Severity: Working, Side: Cluster, Acts: Sluice,
		Meaning: "the stream is being given to another node",
		Advice:  passes,
	},
	fsm.CodeTakeover: {
		Severity: Working, Side: Cluster, Acts: Sluice, Event: true, Advice: nothing,
		Meaning: "a node took tasks over from one that was gone",
	},
	fsm.CodeCatchingUp: {
		Severity: Working, Side: None, Acts: Sluice,
		Meaning: "copies, and is behind",
		Advice:  "nothing while the lag shrinks",
	},
	fsm.CodeFilling: {
		Severity: Working, Side: None, Acts: Sluice,
		Meaning: "makes up the trimmed head of the target so that offsets are identical",
		Advice:  passes,
	},

	// What was asked for.
	fsm.CodePaused: {
		Severity: Told, Side: None, Acts: AtSluice,
		Meaning: "the link is paused",
		Advice:  "`sluice link resume LINK` goes on",
	},
	fsm.CodeDeleting: {
		Severity: Told, Side: None, Acts: Sluice, Advice: nothing,
		Meaning: "the link is being deleted; the target keeps its records",
	},
	fsm.CodeJoinRefused: {
		Severity: Waiting, Side: Cluster, Acts: AtSluice, Event: true,
		Meaning: "a node asked to join and was not taken in",
		Advice:  "if it is to be a member, make it a token (`sluice cluster token create`); if not, find out who runs it: it has a certificate",
	},
	fsm.CodeNodeLeft: {
		Severity: Told, Side: Cluster, Acts: Nobody, Event: true, Advice: nothing,
		Meaning: "a node left the cluster",
	},
	fsm.CodeResolved: {
		Severity: Told, Side: None, Acts: Nobody, Advice: nothing,
		Meaning: "what an earlier event told is over",
	},
	fsm.CodeTopicEnded: {
		Severity: Told, Side: None, Acts: Nobody, Event: true,
		Meaning: "a topic is copied no more; the target keeps its records",
		Advice:  "nothing; to copy it again, select it again: it goes on where it was",
	},
	fsm.CodeSettingsDiffer: {
		Severity: Told, Side: Target, Acts: AtTarget,
		Meaning: "settings of a target topic are not what the source's settings ask for",
		Advice:  "set them at the target as the message says, or leave it if that is meant",
	},
	fsm.CodeNewSegment: {
		Severity: Told, Side: None, Acts: Nobody, Event: true, Advice: nothing,
		Meaning: "the stream went on past something: offsets differ by another constant from here on",
	},
	fsm.CodeTranslated: {
		Severity: Told, Side: Source, Acts: Nobody, Event: true, Advice: nothing,
		Meaning: "offsets of the two sides cannot stay in step from here on; translation stays exact",
	},
	fsm.CodeGapsFilled: {
		Severity: Told, Side: Source, Acts: Nobody, Event: true, Advice: nothing,
		Meaning: "the source has transactions; from here on the offsets that these take without a record are taken at the target too, and all records keep theirs",
	},
	fsm.CodeOffsetBump: {
		Severity: Told, Side: Target, Acts: Nobody, Event: true, Advice: nothing,
		Meaning: "a broker of the target wrote the end of a transaction twice, so records stand one offset further until the next transaction of the source gives it back; translation stays exact",
	},
	fsm.CodeHeadFilled: {
		Severity: Told, Side: Target, Acts: Nobody, Event: true, Advice: nothing,
		Meaning: "the target's offsets before the source's first record are taken and empty; records are copied from here on, at their own offsets",
	},
	fsm.CodeDeletedAgain: {
		Severity: Told, Side: Target, Acts: Nobody, Event: true,
		Meaning: "records of deleted keys were perhaps copied a second time, up to the deletion: a cleaner took the deletions from the target while no owner noted how far it was",
		Advice:  "raise delete.retention.ms of the target topic above the longest time that Sluice may be down",
	},
	fsm.CodeRecopied: {
		Severity: Told, Side: None, Acts: Nobody, Event: true, Advice: nothing,
		Meaning: "the stream began anew, as it was ordered to",
	},

	fsm.CodeVoteTaken: {
		Severity: Told, Side: Cluster, Acts: Nobody, Event: true,
		Meaning: "a node lost its vote, so that a quorum needs fewer of the others: it was dead for long, or one voter too many; it is a member still",
		Advice:  "nothing; it gets a vote again when it is well and there is room, and `sluice cluster remove` takes it out if it is gone for good",
	},
	fsm.CodeOperatorAct: {
		Severity: Told, Side: Cluster, Acts: Nobody, Advice: nothing,
		Meaning: "somebody asked for a change, and it was made; the event says who, and from where",
	},

	fsm.CodeEventsDropped: {
		Severity: Told, Side: Cluster, Acts: Nobody, Event: true,
		Meaning: "a node dropped its oldest events, because too many waited for a quorum; those that last are dropped last",
		Advice:  "nothing; streams that stopped meanwhile are stopped still, as `sluice status` shows",
	},

	// What is well.
	fsm.CodeCopying: {
		Severity: Good, Side: None, Acts: Nobody, Advice: nothing,
		Meaning: "copies",
	},
	fsm.CodeIdle: {
		Severity: Good, Side: None, Acts: Nobody, Advice: nothing,
		Meaning: "all is copied; waits for records",
	},
	fsm.CodeOpenTransaction: {
		Severity: Good, Side: Source, Acts: AtSource,
		Meaning: "an open transaction at the source holds back what stands behind it",
		Advice:  "nothing while it is short; else end the producer that the message names",
	},
	fsm.CodeEpochRaised: {
		Severity: Good, Side: Target, Acts: Nobody, Event: true, Advice: nothing,
		Meaning: "the target's broker forgot the producer, and the stream went on under a new epoch",
	},
	fsm.CodeSettingsAgree: {
		Severity: Good, Side: Target, Acts: Nobody, Advice: nothing,
		Meaning: "settings of a target topic are again what the source's settings ask for",
	},
	fsm.CodeTargetWhole: {
		Severity: Good, Side: Target, Acts: Nobody, Advice: nothing,
		Meaning: "the target has again all copied records that the source still has",
	},
	fsm.CodeTopicAdded: {
		Severity: Good, Side: None, Acts: Nobody, Event: true, Advice: nothing,
		Meaning: "a topic is copied that was not before",
	},
	fsm.CodeNodeJoined: {
		Severity: Good, Side: Cluster, Acts: Nobody, Event: true, Advice: nothing,
		Meaning: "a node joined the cluster",
	},
}

// Of is the row of a code. An unknown one, of a newer node, is taken for bad.
func Of(c fsm.Code) Row {
	r, ok := table[c]
	if !ok {
		r = Row{
			Severity: Stopped, Side: Both, Acts: AtSluice, Meaning: "this version does not know the code",
			Advice: "read the message; a newer version of Sluice says more",
		}
	}
	r.Code = c
	return r
}

// SeverityOf says how bad a reason code is.
func SeverityOf(c fsm.Code) Severity {
	if r, ok := table[c]; ok {
		return r.Severity
	}
	return Stopped
}

// All are the rows of all codes: the worst first, then by code.
func All() []Row {
	var out []Row
	for _, c := range slices.Sorted(maps.Keys(table)) {
		out = append(out, Of(c))
	}
	slices.SortStableFunc(out, func(a, b Row) int { return int(b.Severity - a.Severity) })
	return out
}

// States are the codes that a stream or task may be in, sorted.
func States() []fsm.Code { return codes(func(r Row) bool { return !r.Event }) }

// Stops are the codes that wait for a person, sorted.
func Stops() []fsm.Code { return codes(func(r Row) bool { return r.Severity == Stopped }) }

func codes(of func(Row) bool) []fsm.Code {
	var out []fsm.Code
	for _, c := range slices.Sorted(maps.Keys(table)) {
		if of(table[c]) {
			out = append(out, c)
		}
	}
	return out
}
