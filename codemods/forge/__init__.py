"""Where repositories live: GitHub, GitLab and Gitea behind one protocol."""
