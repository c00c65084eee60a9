package kafka

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/fsm"
)

// Code is the reason code of an error of a call to a Kafka cluster: of what
// passes by itself or waits for an operator of that cluster. Whoever calls
// knows what other codes of his own request mean.
func Code(err error) fsm.Code {
	var ke *kerr.Error
	switch {
	case errors.Is(err, ErrClusterIDMismatch):
		return fsm.CodeWrongCluster
	case !errors.As(err, &ke):
		return fsm.CodeUnreachable
	}
	switch ke {
	case kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.InvalidReplicationFactor:
		return fsm.CodeNotEnoughReplicas
	case kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.GroupAuthorizationFailed,
		kerr.TransactionalIDAuthorizationFailed, kerr.PolicyViolation:
		return fsm.CodeUnauthorized
	case kerr.SaslAuthenticationFailed, kerr.IllegalSaslState, kerr.UnsupportedSaslMechanism:
		return fsm.CodeAuthenticationFailed
	case kerr.ThrottlingQuotaExceeded:
		return fsm.CodeQuotaThrottled
	}
	return fsm.CodeUnreachable
}
