"""The server: studies in, predictions and reads out, over HTTP, without torch.

Read in this order: `settings` (what may be set), `store` and `tables` (what is kept), `intake` (bytes to a stored
image), `queue` and `worker` (who answers), `app` (the door).
"""
