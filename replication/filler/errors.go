package filler

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/kafka"
)

// What an error is about. All wrap what the broker said, or the network; one
// that is of none of these kinds but wraps kafka.ErrPerhapsSent is of a request
// that was not answered. After each of them the Filler is finished.
var (
	// ErrFenced says that the filler was opened by somebody since, perhaps by
	// an earlier Open of the same owner whose request came late, or that the
	// coordinator has ended its transaction, or forgotten an id that was
	// unused for a week. Who still owns the stream opens it anew.
	ErrFenced = errors.New("the filler was taken over")
	// ErrMoved says that the partition's leader is another one, or cannot be
	// reached: look up where it is.
	ErrMoved = errors.New("the partition is not where it was")
	// ErrCoordinator says that the transaction coordinator could not be found
	// or reached for a while, or was not done with what came before.
	ErrCoordinator = errors.New("the transaction coordinator is not ready")
)

// EndError says that the log ends elsewhere than it should: beyond, because a
// marker was written twice or somebody else writes; before, because the log has
// lost what it had. What was begun is over, its marker in the log.
type EndError struct{ Want, Got int64 }

// Error says so.
func (e *EndError) Error() string {
	if e.Got < e.Want {
		return fmt.Sprintf("the target's log ends at %d instead of %d: it has lost records", e.Got, e.Want)
	}
	return fmt.Sprintf("the target's log ends at %d instead of %d: a transaction marker was written twice, or somebody else writes", e.Got, e.Want)
}

// later reports whether the coordinator would answer otherwise after a moment.
func later(err error) bool {
	return isOne(err, kerr.ConcurrentTransactions, kerr.CoordinatorLoadInProgress) || elsewhere(err)
}

// elsewhere reports whether the coordinator is to be looked for anew.
func elsewhere(err error) bool { return isOne(err, kerr.NotCoordinator, kerr.CoordinatorNotAvailable) }

// explain says what is behind a broker's refusal, and gives it its kind.
func (f *Filler) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case isOne(err, kerr.TransactionalIDAuthorizationFailed):
		return fmt.Errorf("WRITE on transactional id %s is needed: %w", f.id, err)
	case isOne(err, kerr.InvalidTransactionTimeout):
		return fmt.Errorf("the target's brokers must allow transactions of %v (transaction.max.timeout.ms): %w", Timeout, err)
	case isOne(err, kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping, kerr.InvalidTxnState,
		kerr.TransactionAbortable, kerr.UnknownProducerID, kerr.OutOfOrderSequenceNumber):
		return fmt.Errorf("%w: %w", ErrFenced, err)
	case isOne(err, kerr.NotLeaderForPartition, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.UnknownTopicOrPartition,
		kerr.LeaderNotAvailable, kerr.ReplicaNotAvailable, kerr.KafkaStorageError):
		return fmt.Errorf("%w: %w", ErrMoved, err)
	}
	return kafka.Needs(err, "WRITE", f.at.Topic)
}

func isOne(err error, these ...error) bool {
	for _, one := range these {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// isAnswer reports whether an error is what a broker said.
func isAnswer(err error) bool {
	_, ok := errors.AsType[*kerr.Error](err)
	return ok
}
