package controller

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
)

func leaseMeta(c Config) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Lease}
}

// leads tells whether no other replica can lead at this moment. A process that was stopped
// for longer than the lease lasts does not know yet that it has lost the lead when it wakes
// up; its clock does. The lead counts as lost as early as the elector gives up renewing it,
// so that what is under way then ends before another replica may begin.
func leads(e *leaderelection.LeaderElector) bool {
	return e.IsLeader() && e.Check(renewDeadline-leaseDuration) == nil
}
