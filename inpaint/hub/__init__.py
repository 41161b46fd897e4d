"""The files of models: which are downloaded, where they lie, and whether they are still what was downloaded."""
