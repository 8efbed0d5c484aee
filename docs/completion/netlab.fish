# Completes netlab's words in fish: build network labs from YAML. netlab itself knows them.
netlab completion fish | source
