package docpage

import (
	"fmt"
	"path/filepath"
)

// Pages lists the pages for users below the root of the repository, README first.
func Pages(root string) ([]string, error) {
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		return nil, fmt.Errorf("docpage: %w", err)
	}
	return append([]string{filepath.Join(root, "README.md")}, pages...), nil
}
