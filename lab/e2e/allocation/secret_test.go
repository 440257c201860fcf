package allocation

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/lab/e2e/install"
)

// The Secret with the speakers' key is made again when it is deleted, with a new key, and
// belongs to the Deployment.
func TestMemberlistSecret(t *testing.T) {
	f := alone(t)
	f.leading(1)
	const name = "memberlist"
	secrets := f.Core.CoreV1().Secrets(install.Namespace)
	old, err := secrets.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := secrets.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.Eventually("there is a new Secret", soon, func(ctx context.Context) error {
		now, err := secrets.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		key, err := base64.RawStdEncoding.DecodeString(string(now.Data["secretkey"]))
		switch {
		case now.UID == old.UID:
			return fmt.Errorf("it is the old one")
		case err != nil || len(key) != 16 || string(now.Data["secretkey"]) == string(old.Data["secretkey"]):
			t.Errorf("the key is %q, error %v; want 16 new bytes in base64", now.Data["secretkey"], err)
		case len(now.OwnerReferences) != 1 || now.OwnerReferences[0].Kind != "Deployment" || now.OwnerReferences[0].Name != deployment:
			t.Errorf("its owners are %v", now.OwnerReferences)
		}
		return nil
	})
}
