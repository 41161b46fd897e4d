"""What stands before Gradio: which hosts, origins, routes, connections and logins are let in."""
