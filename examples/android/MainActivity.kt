// One screen: choose a picture, read the answer. Not built here: see README.md.
package org.example.pneumoscope

import android.graphics.Bitmap
import android.graphics.ImageDecoder
import android.net.Uri
import android.os.Bundle
import android.widget.Button
import android.widget.ImageView
import android.widget.LinearLayout
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.PickVisualMediaRequest
import androidx.activity.result.contract.ActivityResultContracts.PickVisualMedia
import java.util.concurrent.Executors

private const val DISCLAIMER =
    "Research software. Not a medical device: not CE-marked, not cleared or approved by the FDA. Do not use it to " +
        "diagnose, rule out, triage, prioritise or treat. A qualified reader must read every image without it first."

class MainActivity : ComponentActivity() {
    private val work = Executors.newSingleThreadExecutor()
    private val classifier by lazy { Classifier(this) }
    private lateinit var words: TextView
    private lateinit var view: ImageView

    private val picker = registerForActivityResult(PickVisualMedia()) { uri -> uri?.let(::show) }

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        words = TextView(this).apply { text = "Choose a frontal chest radiograph." }
        view = ImageView(this).apply { adjustViewBounds = true }
        val choose = Button(this).apply {
            text = "Choose a picture"
            setOnClickListener { picker.launch(PickVisualMediaRequest(PickVisualMedia.ImageOnly)) }
        }
        setContentView(
            LinearLayout(this).apply {
                orientation = LinearLayout.VERTICAL
                setPadding(32, 64, 32, 32)
                addView(TextView(context).apply { text = DISCLAIMER })
                addView(choose)
                addView(words)
                addView(view)
            },
        )
    }

    private fun show(uri: Uri) {
        words.text = "Reading the picture."
        work.execute {
            val (picture, said) = try {
                // A bitmap in the graphics memory has no pixels to read.
                val source = ImageDecoder.createSource(contentResolver, uri)
                val loaded = ImageDecoder.decodeBitmap(source) { decoder, _, _ ->
                    decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
                }
                loaded to describe(classifier.answer(loaded.copy(Bitmap.Config.ARGB_8888, false)))
            } catch (error: Exception) {
                null to "This picture could not be read: ${error.message}"
            }
            runOnUiThread {
                view.setImageBitmap(picture)
                words.text = said
            }
        }
    }

    private fun describe(answer: Answer): String = when (answer) {
        is Answer.Refused -> "No answer. ${answer.reason}"
        is Answer.Decided ->
            if (answer.label == "normal") {
                "No pattern that this model looks for. It does not look for: ${classifier.notLookedFor}."
            } else {
                "%s: score %.2f".format(answer.label, answer.probability)
            }
    }

    override fun onDestroy() {
        work.shutdown()
        super.onDestroy()
    }
}
