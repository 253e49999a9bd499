// From a picture to an answer. Not built here: see README.md.
package org.example.pneumoscope

import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import android.content.Context
import android.graphics.Bitmap
import org.json.JSONObject
import java.nio.FloatBuffer

sealed interface Answer {
    data class Refused(val reason: String) : Answer
    data class Decided(val label: String, val probability: Float) : Answer
}

/** A bundle that was exported with `--to ort`: model.ort and card.json among the assets. */
class Classifier(context: Context) : AutoCloseable {
    private val card = JSONObject(context.assets.open("card.json").bufferedReader().readText())
    private val environment = OrtEnvironment.getEnvironment()
    private val session: OrtSession

    private val labels = card.getJSONArray("labels").let { all ->
        List(all.length()) { all.getJSONObject(it).getString("name") }
    }
    private val oodLimit = card.getJSONObject("refusal").getDouble("ood_threshold")
    private val threshold = card.getJSONArray("operating_points").let { all ->
        List(all.length()) { all.getJSONObject(it) }
            .first { it.getString("name") == card.getString("default_operating_point") }
            .getDouble("threshold")
    }

    val notLookedFor: String = card.getJSONArray("not_looked_for").let { all ->
        List(all.length()) { all.getString(it) }.joinToString("; ")
    }

    init {
        val options = OrtSession.SessionOptions().apply { setIntraOpNumThreads(2) }
        session = environment.createSession(context.assets.open("model.ort").readBytes(), options)
    }

    fun answer(picture: Bitmap): Answer {
        val shape = longArrayOf(1, 1, picture.height.toLong(), picture.width.toLong())
        OnnxTensor.createTensor(environment, grey(picture), shape).use { image ->
            session.run(mapOf("image" to image), setOf("probabilities", "ood")).use { output ->
                @Suppress("UNCHECKED_CAST")
                val p = (output.get("probabilities").get().value as Array<FloatArray>)[0]
                val ood = (output.get("ood").get().value as FloatArray)[0]
                // "!(<=)", so that a score that is not a number is refused too.
                if (!(ood <= oodLimit)) {
                    return Answer.Refused("It is unlike the images that this model was calibrated on.")
                }
                if (p[0] >= threshold) return Answer.Decided(labels[0], p[0])
                val rest = (1 until p.size).maxByOrNull { p[it] }!!
                return Answer.Decided(labels[rest], p[rest])
            }
        }
    }

    /** Rows from the head down, 0 = black, 1 = white: by ITU-R BT.601, which keeps grey as it is. */
    private fun grey(picture: Bitmap): FloatArray {
        val colours = IntArray(picture.width * picture.height)
        picture.getPixels(colours, 0, picture.width, 0, 0, picture.width, picture.height)
        val values = FloatArray(colours.size) {
            val c = colours[it]
            (0.299f * (c shr 16 and 255) + 0.587f * (c shr 8 and 255) + 0.114f * (c and 255)) / 255f
        }
        return FloatBuffer.wrap(values)
    }

    override fun close() = session.close()
}
