"""What protects Gradio's routes: which hosts, origins, paths, connections and logins are allowed."""
