"""A study on a device: GGUF files, llama.cpp, a package."""
