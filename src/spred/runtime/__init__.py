"""What both applications leave behind and show while they work: folders, progress, pages, figures."""
