package lab

func (l *Lab) routerDirs() []string { return nil }
