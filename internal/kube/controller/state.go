package controller

import (
	"context"
	"slices"

	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/kube/configstate"
)

// stateRef stands for the ConfigurationState in the queue of objects.
func (w *objectWriter) stateRef() config.Ref {
	return config.Ref{Kind: "ConfigurationState", Namespace: w.namespace, Name: configstate.Controller(w.namespace).Name()}
}

// writeState sums up the verdicts about pools and communities, which are what the controller uses.
func (w *objectWriter) writeState(ctx context.Context) error {
	w.mu.Lock()
	var verdicts []config.Verdict
	for ref, st := range w.want {
		if ref.Kind == config.KindPool || ref.Kind == config.KindCommunity {
			verdicts = append(verdicts, st.verdict)
		}
	}
	w.mu.Unlock()
	slices.SortFunc(verdicts, func(a, b config.Verdict) int { return a.Object.Compare(b.Object) })
	return configstate.Controller(w.namespace).Write(ctx, w.client, nil, verdicts)
}
