package fsm

// Code is a reason code: why a stream stands or waits, or what an event tells.
type Code string

// The reason codes. Package fsm/reason says of each what it means, how bad it is
// and what to do; a code that is not there is a fault of the build.
const (
	CodePositionLost      Code = "position-lost"
	CodeSourceRecreated   Code = "source-recreated"
	CodeSourceDeleted     Code = "source-deleted"
	CodeSourceTruncated   Code = "source-truncated"
	CodeTargetRecreated   Code = "target-recreated"
	CodeTargetDeleted     Code = "target-deleted"
	CodeTargetTruncated   Code = "target-truncated"
	CodeTargetLostAcked   Code = "target-lost-acked"
	CodeForeignWriter     Code = "foreign-writer"
	CodeNotEmpty          Code = "not-empty"
	CodePartitionMismatch Code = "partition-mismatch"
	CodeRecordTooLarge    Code = "record-too-large"
	CodeTimestampRefused  Code = "timestamp-refused"
	CodeKeylessRecord     Code = "keyless-record"
	CodeCorruptBatch      Code = "corrupt-batch"
	CodeUnsupportedFormat Code = "unsupported-format"
	CodeOverBudget        Code = "over-budget"
	CodeUnparseable       Code = "unparseable-record" // the link's filter cannot be applied to it
	CodeIdentityLost      Code = "identity-lost"      // offsets: identical could not be kept
	CodePositionUnknown   Code = "position-unknown"   // a translated stream whose target moved past its checkpoint

	CodeUnauthorized         Code = "unauthorized"
	CodeAuthenticationFailed Code = "authentication-failed"
	CodeUnreachable          Code = "unreachable"
	CodeWrongCluster         Code = "wrong-cluster" // the address is another Kafka cluster's now
	CodeClaimed              Code = "claimed"       // another Sluice cluster copies the link, or did
	CodeQuotaThrottled       Code = "quota-throttled"
	CodeFilterUnready        Code = "filter-unready" // a node cannot apply the link's filter
	CodeNotEnoughReplicas    Code = "not-enough-replicas"

	CodeTargetLost     Code = "target-lost"  // the target alone removed copied records
	CodeTargetWhole    Code = "target-whole" // ends CodeTargetLost
	CodeSettingsDiffer Code = "settings-differ"
	CodeSettingsAgree  Code = "settings-agree" // ends CodeSettingsDiffer

	CodeTopicMissing    Code = "topic-missing" // include names it, and the source does not have it
	CodeTopicRefused    Code = "topic-refused" // brokers did not create or raise a topic, for a reason without a code of its own
	CodeOpenTransaction Code = "open-transaction"

	CodeUnassigned Code = "unassigned" // no node owns the task
	CodeUnreported Code = "unreported" // its owner has not reported on it
	CodeDeleting   Code = "deleting"
	CodePaused     Code = "paused"
	CodeStarting   Code = "starting" // an owner derives the position
	CodeWaiting    Code = "waiting"  // unguarded: waits for a leader, or for the predecessor's last request to die
	CodeCatchingUp Code = "catching-up"
	CodeFilling    Code = "filling"
	CodeCopying    Code = "copying"
	CodeIdle       Code = "idle"

	CodeTakeover     Code = "takeover"
	CodeHandover     Code = "handover"
	CodeLostRace     Code = "lost-race" // an owner met writes of its successor and stopped
	CodeNewSegment   Code = "new-segment"
	CodeTranslated   Code = "left-dense"
	CodeGapsFilled   Code = "gaps-filled"
	CodeOffsetBump   Code = "offset-bump"
	CodeHeadFilled   Code = "head-filled"   // phase filling is over
	CodeDeletedAgain Code = "deleted-again" // records of deleted keys may have been copied again
	CodeEpochRaised  Code = "producer-epoch-raised"
	CodeRecopied     Code = "recopied"
	CodeTopicAdded   Code = "topic-added"
	CodeTopicEnded   Code = "topic-ended"
	CodeResolved     Code = "resolved"
	CodeNodeJoined   Code = "node-joined"
	CodeNodeLeft     Code = "node-left"
	CodeNodeDead     Code = "node-dead"
	CodeVoteTaken    Code = "vote-taken" // of a node that is dead for long, or one too many
	CodeJoinRefused  Code = "join-refused"
	CodeOperatorAct  Code = "operator-act" // somebody asked for a change

	CodeClusterRecovered Code = "cluster-recovered"

	CodeEventsDropped Code = "events-dropped"
)
