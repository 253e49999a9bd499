-- Sends each radiograph that comes to this archive on to Pneumoscope. Its results come back here and go nowhere: their
-- modality is SR, SEG or PR.
function OnStoredInstance(instance, tags, metadata, origin)
  local modality = tags['Modality']
  if modality == 'CR' or modality == 'DX' then
    SendToModality(instance, 'pneumoscope')
  end
end
